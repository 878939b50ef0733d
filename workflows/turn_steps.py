"""One method per step of a turn of the shadow bench: which activity, with what request, under which options and key."""

from datetime import timedelta
from typing import TypedDict

from temporalio import workflow

from activities.bench import BenchActivities
from activities.cleanup import CleanupActivities
from activities.snapshot import SnapshotActivities
from activities.training import TrainingActivities
from contracts.alarm import Alarm
from contracts.base import Utc
from contracts.fleet import EndpointPolicy
from contracts.ids import bench_tag, bench_training_key, step_key, turn_key
from contracts.inventory import CleanUp, Removal
from contracts.shadow import (
    AdviseBench,
    AlarmTaken,
    BenchAdvice,
    BenchFit,
    BenchPlan,
    BenchRequest,
    BenchTurn,
    KeepTurn,
    PeriodScored,
    RaiseAlarm,
    ScorePeriod,
)
from contracts.snapshot import Snapshot, TakeSnapshot
from contracts.training import Challenger, Purpose, Tags, TrainChallenger
from policies.bench_turns import horizons, settings_digest
from workflows import options


class _Asked(TypedDict):
    """What every request to the record names."""

    endpoint: str
    policy: EndpointPolicy


class TurnSteps:
    """The side effects of one run. What is temporary is keyed by the run, what lasts by the turn: the same turn in another run
    finds what was done.
    """

    def __init__(self, request: BenchRequest) -> None:
        self._endpoint = request.endpoint
        self._policy = request.policy
        self._request = request
        self._settings = settings_digest(request.policy)
        self._trained = 0
        self.unclean = False
        """Whether something temporary may be there."""
        workflow_id = workflow.info().workflow_id
        self.tags = Tags(
            endpoint=request.endpoint,
            incident=bench_tag(request.endpoint, workflow_id),
            team=request.policy.team,
            cost_center=request.policy.cost_center,
        )

    async def plan(self) -> BenchPlan:
        return await workflow.execute_activity_method(
            BenchActivities.plan_bench, self._request, summary="which turns are due", **options.DATA
        )

    async def snapshot(self, turn: Utc) -> Snapshot:
        self.unclean = True
        request = TakeSnapshot(
            key=step_key(workflow.info().workflow_id, f"snapshot-{_name(turn)}"),
            endpoint=self._endpoint,
            data=self._policy.data,
            as_of=turn,
            horizons=horizons(self._policy),
            holdout=timedelta(0),
            tags=self.tags,
        )
        return await workflow.execute_activity_method(
            SnapshotActivities.take_snapshot, request, summary=f"labelled rows as of {turn:%Y-%m-%d}", **options.DATA
        )

    async def score(self, snapshot: Snapshot) -> PeriodScored:
        request = ScorePeriod(key=self._key(snapshot.as_of, "scored"), **self._asked, snapshot=snapshot, tags=self.tags)
        return await workflow.execute_activity_method(
            BenchActivities.score_period, request, summary="score what has come", **options.DATA
        )

    async def advise(self, snapshot: Snapshot) -> BenchAdvice:
        request = AdviseBench(**self._asked, snapshot=snapshot)
        return await workflow.execute_activity_method(
            BenchActivities.advise_bench, request, summary="what the record says", **options.DATA
        )

    async def train(self, snapshot: Snapshot) -> Challenger:
        """All members as one job, after everybody else's: an incident never waits for the bench."""
        training, data = self._policy.training, self._policy.data
        self._trained += 1
        job = TrainChallenger(
            key=bench_training_key(workflow.info().workflow_id, self._trained),
            endpoint=self._endpoint,
            purpose=Purpose.REFIT,
            dataset=snapshot.dataset,
            features=data.features,
            label=data.label,
            recipe=training.recipe,
            task=data.task,
            classes=data.classes,
            end=snapshot.as_of,
            tags=self.tags,
            max_runtime=training.max_runtime,
            max_memory_mb=training.max_memory_mb,
            price_per_hour=training.price_per_hour,
            compute=training.compute,
        )
        how = options.bench_training(main_queue=workflow.info().task_queue, max_runtime=training.longest, team=self._policy.team)
        return await workflow.execute_activity_method(
            TrainingActivities.train_challenger, job, summary=f"fit all members as of {snapshot.as_of:%Y-%m-%d}", **how
        )

    async def keep(
        self,
        snapshot: Snapshot,
        scored: PeriodScored,
        *,
        advice: BenchAdvice | None,
        fit: BenchFit | None,
        advised_from: Utc,
        final: bool,
    ) -> BenchTurn:
        made = fit.challenger if fit else None
        request = KeepTurn(
            key=self._key(snapshot.as_of, "kept"),
            **self._asked,
            as_of=snapshot.as_of,
            dataset=snapshot.dataset.sha256,
            fit=fit,
            advice=advice,
            rows=scored.rows,
            advised_from=advised_from,
            seconds=made.seconds if made else 0.0,
            cost_usd=made.cost_usd if made else 0.0,
            final=final,
        )
        return await workflow.execute_activity_method(
            BenchActivities.keep_turn, request, summary="keep the fit and the record", **options.DATA
        )

    async def raise_alarm(self, alarm: Alarm) -> AlarmTaken:
        request = RaiseAlarm(key=f"{alarm.id}/raised", endpoint=self._endpoint, alarm=alarm)
        return await workflow.execute_activity_method(
            BenchActivities.raise_alarm, request, summary=f"alarm: {alarm.kind.value}", **options.ALARM
        )

    async def clean_up(self) -> Removal:
        workflow_id = workflow.info().workflow_id
        keys = tuple(bench_training_key(workflow_id, n) for n in range(max(1, self._trained), self._trained + 1))
        removal = await workflow.execute_activity_method(
            CleanupActivities.clean_up,
            CleanUp(tags=self.tags, job_keys=keys),
            summary="remove what is temporary",
            **options.CLEANUP,
        )
        self.unclean = False
        return removal

    @property
    def _asked(self) -> _Asked:
        return _Asked(endpoint=self._endpoint, policy=self._policy)

    def _key(self, turn: Utc, step: str) -> str:
        return turn_key(self._endpoint, self._settings, turn, step)


def _name(turn: Utc) -> str:
    return f"{turn:%Y%m%dT%H%M%SZ}"
