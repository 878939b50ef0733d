"""One method per step of a remediation: which activity, with what request, under which options and key."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow

from activities.audit import AuditActivities
from activities.bake import BakeActivities
from activities.cleanup import CleanupActivities
from activities.evaluation import EvaluationActivities
from activities.gate import GateActivities
from activities.promotion import PromotionActivities
from activities.snapshot import SnapshotActivities
from activities.training import TrainingActivities
from contracts.audit import AuditEntry, AuditEvent
from contracts.base import Contract, Horizon
from contracts.bench import Judging
from contracts.evaluation import EvaluateChallenger, Evidence, JudgeEvidence, Judgement
from contracts.ids import step_key, training_key
from contracts.incident import RemediationRequest
from contracts.inventory import CleanUp, Removal
from contracts.rollout import (
    BakeChampion,
    BakeReport,
    CheckWatch,
    Deployment,
    Manifest,
    PromoteChallenger,
    Promotion,
    RollBack,
    WatchReport,
)
from contracts.snapshot import Snapshot, TakeSnapshot
from contracts.training import Challenger, ModelCard, Purpose, Recipe, Tags, Task, TrainChallenger
from policies.bench_turns import horizons
from workflows import options
from workflows.report_page import report_on


@dataclass(frozen=True)
class Standing:
    """How new both models are, and how long ago the last promotion was: what the gate goes by beside the rows."""

    champion: datetime | None
    """Up to when the champion was trained; None where there is none."""
    challenger: datetime
    weeks: float | None
    """Since the last promotion; None where nothing was promoted yet."""


class Steps:
    """The side effects of one remediation. Keys are minted here, so that doing a step twice is the same as once."""

    def __init__(self, request: RemediationRequest) -> None:
        self._request = request
        self._policy = request.policy
        self.tags = Tags(
            endpoint=request.endpoint,
            incident=request.incident,
            team=request.policy.team,
            cost_center=request.policy.cost_center,
        )
        self._asked: dict[str, Any] = {}
        self.recipe = request.policy.training.recipe
        """What is trained and judged; widening the window changes it for this incident ..."""
        self.notes: tuple[str, ...] = ()
        """... and says so in the report."""

    def key(self, stage: str, n: int = 1) -> str:
        return step_key(workflow.info().workflow_id, stage, n)

    async def snapshot(self, n: int, *, catch_up: bool, until: datetime | None) -> Snapshot:
        """`until` holds the window's end while its labels come in."""
        request = TakeSnapshot(
            key=self.key("snapshot", n),
            endpoint=self._request.endpoint,
            data=self._policy.data,
            as_of=max(a.as_of for a in self._request.alarms),
            horizons=self._horizons(),
            holdout=self._policy.gate.holdout,
            tags=self.tags,
            catch_up=catch_up,
            not_after=workflow.now() if catch_up else None,
            until=until,
            categorical=self.recipe.learner.categorical,
        )
        self.keep("snapshot", request)
        return await workflow.execute_activity_method(
            SnapshotActivities.take_snapshot, request, summary=f"labelled rows, look {n}", **options.DATA
        )

    def _horizons(self) -> tuple[Horizon, ...]:
        if self._policy.training.judging is Judging.SHADOW:
            return horizons(self._policy)
        return tuple(member.horizon for member in self.recipe.blended)

    async def champion(self) -> ModelCard | None:
        return await workflow.execute_activity_method(
            PromotionActivities.current_champion, self._request.endpoint, summary="champion", **options.JUDGEMENT
        )

    async def train(self, snapshot: Snapshot) -> tuple[Challenger, Challenger]:
        """The fit to be judged and the fit that would ship, side by side."""
        judged, refit = await asyncio.gather(*(self.trained(snapshot, purpose, self.recipe) for purpose in Purpose))
        return judged, refit

    async def trained(self, snapshot: Snapshot, purpose: Purpose, recipe: Recipe, shift: tuple[float, ...] = ()) -> Challenger:
        training = self._policy.training
        job = TrainChallenger(
            key=self.job_key(purpose),
            endpoint=self._request.endpoint,
            purpose=purpose,
            dataset=snapshot.dataset,
            features=self._policy.data.features,
            label=self._policy.data.label,
            task=self._policy.data.task,
            classes=self._policy.data.classes,
            threshold=self._policy.serving.threshold if self._policy.data.task is Task.BINARY else None,
            recipe=recipe,
            shift=shift,
            end=snapshot.cut if purpose is Purpose.JUDGE else snapshot.as_of,
            tags=self.tags,
            max_runtime=training.max_runtime,
            max_memory_mb=training.max_memory_mb,
            price_per_hour=training.price_per_hour,
            compute=training.compute,
        )
        self.keep(f"train-{purpose.value}", job, apart={"dataset"})
        how = options.training(
            main_queue=workflow.info().task_queue,
            max_runtime=training.longest,
            severity=self._request.severity,
            team=self._policy.team,
        )
        return await workflow.execute_activity_method(
            TrainingActivities.train_challenger, job, summary=f"train to {purpose.value}", **how
        )

    def job_key(self, purpose: Purpose) -> str:
        return training_key(workflow.info().workflow_id, purpose)

    async def evaluate(self, snapshot: Snapshot, champion: ModelCard | None, judged: Challenger, refit: Challenger) -> Evidence:
        request = EvaluateChallenger(
            key=self.key("evaluate"),
            endpoint=self._request.endpoint,
            incident=self._request.incident,
            snapshot=snapshot,
            champion=champion,
            challenger=judged,
            refit=refit,
            threshold=self._policy.serving.threshold,
            data=self._policy.data,
            tags=self.tags,
        )
        self.keep("evaluate", request, apart={"snapshot", "champion", "challenger", "refit", "data", "tags"})
        return await workflow.execute_activity_method(
            EvaluationActivities.evaluate_challenger, request, summary="score both on the same rows", **options.DATA
        )

    def standing(self, champion: ModelCard | None, judged: Challenger) -> Standing:
        through = champion.trained_through if champion else None
        return Standing(through, judged.trained_through, self._request.weeks_since_promotion)

    async def judge(self, snapshot: Snapshot, evidence: Evidence, standing: Standing) -> Judgement:
        request = JudgeEvidence(
            key=self.key("gate"),
            endpoint=self._request.endpoint,
            incident=self._request.incident,
            evidence=evidence,
            gate=self._policy.gate,
            threshold=self._policy.serving.threshold,
            champion_trained_through=standing.champion,
            challenger_trained_through=standing.challenger,
            weeks_since_promotion=standing.weeks,
            family=self._request.strict_looks + 1,
            snapshot=snapshot,
            task=self._policy.data.task,
            classes=self._policy.data.classes,
            slices=self._policy.data.slices,
            notes=self.notes,
            report=report_on(self._policy, self.recipe),
            alarms=tuple(f"{a.kind.value} from {a.source}: {a.message}"[:300].rstrip(": ") for a in self._request.alarms[:20]),
        )
        self.keep("judge", request, apart={"snapshot", "evidence", "report"})
        return await workflow.execute_activity_method(
            GateActivities.judge_evidence, request, summary="verdict", **options.JUDGEMENT
        )

    async def promote(
        self, snapshot: Snapshot, refit: Challenger, judgement: Judgement, *, expected: str | None, recipe: Recipe
    ) -> Promotion:
        request = PromoteChallenger(
            key=self.key("promote"),
            challenger=refit,
            incident=self._request.incident,
            as_of=snapshot.as_of,
            serving=self._policy.serving,
            reference={c.metric: c.challenger for c in judgement.comparisons},
            expected=expected,
            recipe=recipe,
            features=self._policy.data.features,
        )
        return await workflow.execute_activity_method(
            PromotionActivities.promote_challenger,
            request,
            summary="into service",
            **options.rollout(request.serving.shift.timeout),
        )

    async def bake(self, promotion: Promotion) -> BakeReport:
        rollout = self._policy.rollout
        request = BakeChampion(
            endpoint=self._request.endpoint,
            digest=promotion.manifest.champion.digest,
            bake=rollout.bake,
            max_error_rate=rollout.max_error_rate,
        )
        return await workflow.execute_activity_method(
            BakeActivities.bake, request, summary=f"bake {rollout.bake}", **options.baking(rollout.bake)
        )

    async def watch(self, promotion: Promotion) -> WatchReport:
        rollout, manifest = self._policy.rollout, promotion.manifest
        assert promotion.former is not None  # the caller watches only where there is something to compare with
        request = CheckWatch(
            key=self.key("watch"),
            endpoint=self._request.endpoint,
            champion=manifest.champion,
            former=promotion.former,
            since=manifest.promoted_as_of,
            until=manifest.promoted_as_of + rollout.watch,
            alpha=rollout.watch_alpha,
            margin=rollout.watch_margin,
            data=self._policy.data,
            check_every=max(rollout.watch_check, timedelta(milliseconds=100)),
            tags=self.tags,
        )
        return await workflow.execute_activity_method(
            BakeActivities.watch_promotion, request, summary="late labels", **options.watching(rollout.watch_limit)
        )

    async def roll_back(self, bad: str, reason: str) -> Manifest:
        request = self._back(bad=bad, reason=reason, key=self.key("rollback"))
        return await workflow.execute_activity_method(
            PromotionActivities.roll_back, request, summary="roll back", **options.urgent(request.serving.shift.timeout)
        )

    async def restore(self) -> Deployment | None:
        """After a promotion that broke off: what the manifest names serves again. None where it names nothing yet."""
        request = self._back(bad=None, reason="promotion broke off", key=self.key("restore"))
        return await workflow.execute_activity_method(
            PromotionActivities.restore_serving,
            request,
            summary="serve what the manifest names",
            **options.urgent(request.serving.shift.timeout),
        )

    def _back(self, *, bad: str | None, reason: str, key: str) -> RollBack:
        return RollBack(
            key=key,
            endpoint=self._request.endpoint,
            incident=self._request.incident,
            serving=self._policy.serving,
            bad=bad,
            reason=reason,
        )

    async def record(self, event: AuditEvent, facts: Mapping[str, Any]) -> None:
        """Raises when the chain can't be written, so that what needs it doesn't happen."""
        entry = AuditEntry(
            key=self.key(f"audit-{event.value}"),
            endpoint=self._request.endpoint,
            incident=self._request.incident,
            event=event,
            at=workflow.now(),
            facts={**facts, "requests": self._asked},
        )
        await workflow.execute_activity_method(AuditActivities.record, entry, summary=f"record: {event.value}", **options.RECORD)

    def keep(self, step: str, request: Contract, apart: set[str] | None = None) -> None:
        """For whoever takes the decision again from its record; what the record holds anyway stays apart."""
        self._asked[step] = request.model_dump(mode="json", exclude=apart)

    async def clean_up(self) -> Removal:
        keys = tuple(self.job_key(purpose) for purpose in Purpose)
        return await workflow.execute_activity_method(
            CleanupActivities.clean_up,
            CleanUp(tags=self.tags, job_keys=keys),
            summary="remove what is temporary",
            **options.CLEANUP,
        )
