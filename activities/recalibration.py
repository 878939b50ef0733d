"""Give the champion another shift, or take that back: seconds, no training, the same members as before."""

from temporalio import activity

from activities.failures import translated
from activities.landing import Landing, lineage_after
from activities.promotion import PromotionActivities
from contracts.rollout import Deployment, DeployModel, Manifest, Promotion, RecalibrateChampion, RollBack, UndoRecalibration
from contracts.training import ModelRef
from platforms.errors import Conflict
from platforms.ports import Platform


class RecalibrationActivities:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._landing = Landing(platform)
        self._promotion = PromotionActivities(platform)

    @activity.defn
    @translated
    def recalibrate_champion(self, request: RecalibrateChampion) -> Promotion:
        """Register, deploy, see it land, then rewrite manifest and registry: killed anywhere, it ends the same."""
        before = self._platform.manifests.read(request.champion.endpoint)
        if before is not None and before.key == request.key:
            return self._landing.finish(before)
        if before is None or before.champion != request.champion:
            now = before.champion.digest[:12] if before else "none"
            raise Conflict(
                f"the champion of {request.champion.endpoint} is {now}, the shift was found for "
                f"{request.champion.digest[:12]}: ask the bench again"
            )
        model = self._shifted(request)
        self._landing.land(DeployModel(key=request.key, model=model, serving=request.serving))
        return self._landing.finish(self._platform.manifests.write(_recalibrated(before, model, request)))

    def _shifted(self, request: RecalibrateChampion) -> ModelRef:
        """Always derived from the model that was trained, however often it was recalibrated."""
        champion = self._platform.registry.get(request.champion)
        base = ModelRef(endpoint=champion.model.endpoint, digest=champion.derived_from or champion.model.digest)
        made = self._platform.registry.recalibrated(base, request.shift, request.key).model
        if made == request.champion:
            raise Conflict(f"{made.digest[:12]} has the shift {list(request.shift)} already: there is nothing to do")
        return made

    @activity.defn
    @translated
    def undo_recalibration(self, request: UndoRecalibration) -> Deployment | None:
        """After one that broke off: the champion of before serves, however far it had come. None before the first promotion."""
        back = RollBack(
            key=request.key,
            endpoint=request.endpoint,
            incident=request.incident,
            serving=request.serving,
            reason="its recalibration broke off",
        )
        now = self._platform.manifests.read(request.endpoint)
        if now is None or now.key not in (request.recalibration, request.key):
            return self._promotion.restore_serving(back)
        self._promotion.roll_back(back)
        return self._platform.serving.describe(request.endpoint)


def _recalibrated(before: Manifest, model: ModelRef, request: RecalibrateChampion) -> Manifest:
    """It stays promoted as of when it was."""
    return Manifest(
        endpoint=before.endpoint,
        revision=before.revision + 1,
        champion=model,
        lineage=lineage_after(before),
        incident=request.incident,
        promoted_as_of=before.promoted_as_of,
        served_from=request.as_of,
        recalibration=True,
        key=request.key,
    )
