"""The champion serves on with another shift: recorded first, then into service, baked, and back where it answers with errors."""

from temporalio import workflow

from activities.recalibration import RecalibrationActivities
from contracts.audit import AuditEvent
from contracts.incident import IncidentReport, Outcome, RemediationRequest, Stage
from contracts.rollout import Promotion, RecalibrateChampion, UndoRecalibration
from contracts.shadow import Shift
from contracts.snapshot import Snapshot
from contracts.training import ModelCard
from workflows import options, sentences
from workflows.cancelling import raise_if_cancelled
from workflows.progress import Progress
from workflows.reports import Reports
from workflows.rolling_out import RollingOut
from workflows.steps import Steps


class Recalibrating:
    """`begun` says that serving may have changed: whoever closes the incident then undoes it, unless it ended well."""

    def __init__(self, request: RemediationRequest, steps: Steps, progress: Progress, out: RollingOut, reports: Reports) -> None:
        self._request = request
        self._steps = steps
        self._progress = progress
        self._out = out
        self._reports = reports
        self.begun = False

    async def carried_out(self, snapshot: Snapshot) -> IncidentReport:
        """No record, no recalibration. Its labels are the bench's business: it is looked at again at every turn."""
        facts = self._progress.facts
        assert facts.champion is not None
        assert facts.advice is not None
        wanted = facts.advice.recalibration
        assert wanted is not None  # the route says so
        self._progress.enter(
            Stage.RECALIBRATE, f"Recording the decision; then the champion serves with {sentences.shift(wanted)}."
        )
        await self._steps.record(AuditEvent.DECIDED, self._progress.record())
        self.begun = True
        done = await self._recalibrate(snapshot, facts.champion, wanted)
        self._progress.learn(recalibration=done)
        raise_if_cancelled()
        return await self._out.bake(done) or self._recalibrated(done, wanted)

    async def _recalibrate(self, snapshot: Snapshot, champion: ModelCard, wanted: Shift) -> Promotion:
        request = RecalibrateChampion(
            key=self._key,
            champion=champion.model,
            shift=wanted.shift,
            incident=self._request.incident,
            as_of=snapshot.as_of,
            serving=self._request.policy.serving,
        )
        return await workflow.execute_activity_method(
            RecalibrationActivities.recalibrate_champion,
            request,
            summary="another shift into service",
            **options.rollout(request.serving.shift.timeout),
        )

    def _recalibrated(self, done: Promotion, wanted: Shift) -> IncidentReport:
        digest = done.manifest.champion.digest[:12]
        return self._reports.of(
            Outcome.RECALIBRATED, f"Recalibrated: {digest} serves, the same model with {sentences.shift(wanted)}."
        )

    async def undo(self) -> None:
        """Raises: ActivityError (it could not be undone)."""
        request = UndoRecalibration(
            key=self._steps.key("undo"),
            recalibration=self._key,
            endpoint=self._request.endpoint,
            incident=self._request.incident,
            serving=self._request.policy.serving,
        )
        await workflow.execute_activity_method(
            RecalibrationActivities.undo_recalibration,
            request,
            summary="the champion of before serves",
            **options.urgent(request.serving.shift.timeout),
        )

    @property
    def _key(self) -> str:
        return self._steps.key("recalibrate")
