"""Put a model into service, go back, and make serving agree with the manifest. The manifest is the truth."""

from collections.abc import Sequence

from temporalio import activity

from activities.failures import translated
from activities.landing import Landing, lineage_after
from contracts.rollout import Deployment, DeployModel, Manifest, PromoteChallenger, Promotion, RollBack
from contracts.training import ModelCard, ModelRef, ModelStatus
from platforms.errors import Conflict, NotFound
from platforms.ports import Platform


class PromotionActivities:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._landing = Landing(platform)

    @activity.defn
    @translated
    def current_champion(self, endpoint: str) -> ModelCard | None:
        """The manifest's champion; None where nothing was promoted yet."""
        manifest = self._platform.manifests.read(endpoint)
        return None if manifest is None else self._platform.registry.get(manifest.champion)

    @activity.defn
    @translated
    def promote_challenger(self, request: PromoteChallenger) -> Promotion:
        """Register, deploy, see it land, then rewrite manifest and registry: killed anywhere, it ends the same."""
        before = self._platform.manifests.read(request.challenger.model.endpoint)
        if before is not None and before.key == request.key:
            return self._landing.finish(before)
        _expect(before, request)
        card = self._platform.registry.register(_card(request))
        self._landing.land(DeployModel(key=request.key, model=card.model, serving=request.serving))
        return self._landing.finish(self._platform.manifests.write(_next_manifest(before, request)))

    @activity.defn
    @translated
    def roll_back(self, request: RollBack) -> Manifest:
        """The newest former champion serves again; the one it replaces is marked as rolled back."""
        now = self._platform.manifests.read(request.endpoint)
        if now is None:
            raise NotFound(f"{request.endpoint} has no manifest: nothing was ever promoted, so there is nothing to go back to")
        if now.key == request.key:
            self._settle(now)
            return now
        target = _target(now, request)
        self._landing.land(DeployModel(key=request.key, model=target, serving=request.serving, urgent=True))
        written = self._platform.manifests.write(_backward(now, target, request))
        self._settle(written, bad=now.champion)
        return written

    def _settle(self, manifest: Manifest, bad: ModelRef | None = None) -> None:
        self._platform.registry.mark(manifest.champion, ModelStatus.CHAMPION)
        former = bad or _replaced(self._platform.manifests.history(manifest.endpoint), manifest)
        if former is not None and former != manifest.champion:
            self._platform.registry.mark(former, ModelStatus.ROLLED_BACK)

    @activity.defn
    @translated
    def restore_serving(self, request: RollBack) -> Deployment | None:
        """After a promotion that broke off: whatever the manifest names serves. Nothing to do before the first one."""
        manifest = self._platform.manifests.read(request.endpoint)
        if manifest is None:
            return None
        return self._landing.land(DeployModel(key=request.key, model=manifest.champion, serving=request.serving, urgent=True))


def _expect(before: Manifest | None, request: PromoteChallenger) -> None:
    champion = before.champion.digest if before else None
    if champion != request.expected:
        raise Conflict(
            f"the champion of {request.challenger.model.endpoint} changed since the evidence was made "
            f"({(request.expected or 'none')[:12]} then, {(champion or 'none')[:12]} now): evaluate again"
        )


def _card(request: PromoteChallenger) -> ModelCard:
    challenger = request.challenger
    return ModelCard(
        model=challenger.model,
        artifact_uri=challenger.artifact_uri,
        recipe=request.recipe,
        features=request.features,
        trained_through=challenger.trained_through,
        rows=challenger.rows,
        base_rate=challenger.base_rate,
        dataset_sha256=challenger.dataset_sha256,
        incident=request.incident,
        task=challenger.task,
        classes=challenger.classes,
        threshold=challenger.threshold,
        reference=request.reference,
        shift=challenger.shift,
    )


def _next_manifest(before: Manifest | None, request: PromoteChallenger) -> Manifest:
    lineage = lineage_after(before) if before else ()
    return Manifest(
        endpoint=request.challenger.model.endpoint,
        revision=before.revision + 1 if before else 1,
        champion=request.challenger.model,
        lineage=lineage,
        incident=request.incident,
        promoted_as_of=request.as_of,
        key=request.key,
    )


def _target(now: Manifest, request: RollBack) -> ModelRef:
    if request.bad is not None and now.champion.digest != request.bad:
        raise Conflict(f"{request.endpoint} no longer runs {request.bad[:12]}: it has been replaced already")
    if not now.lineage:
        raise NotFound(f"{request.endpoint} has no former champion to go back to")
    return ModelRef(endpoint=request.endpoint, digest=now.lineage[0])


def _backward(now: Manifest, target: ModelRef, request: RollBack) -> Manifest:
    return Manifest(
        endpoint=request.endpoint,
        revision=now.revision + 1,
        champion=target,
        lineage=now.lineage[1:],
        incident=request.incident,
        promoted_as_of=request.as_of or now.promoted_as_of,
        key=request.key,
    )


def _replaced(history: Sequence[Manifest], manifest: Manifest) -> ModelRef | None:
    return next((m.champion for m in history if m.revision == manifest.revision - 1), None)
