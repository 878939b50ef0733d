"""The work on one incident: snapshot, train, evaluate, gate, review, promote, bake, watch, or an honest end before."""

import asyncio
from collections.abc import Sequence

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts.alarm import Cleared
    from contracts.audit import AuditEvent
    from contracts.bench import Judging
    from contracts.evaluation import Judgement
    from contracts.fleet import Mode
    from contracts.incident import IncidentReport, RemediationRequest, RemediationStatus
    from contracts.review import Decision, ReviewOutcome
    from contracts.snapshot import Snapshot
    from policies.review import Refused, Route, Routing

from workflows import inbox, options
from workflows.asking import Asking
from workflows.closing import Closing
from workflows.deciding import Deciding
from workflows.on_alarm_path import OnAlarmPath
from workflows.progress import Progress
from workflows.recalibrating import Recalibrating
from workflows.reports import Reports
from workflows.review_wait import ReviewWait
from workflows.rolling_out import RollingOut
from workflows.shadow_path import ShadowPath
from workflows.snapshot_stage import SnapshotStage
from workflows.steps import Steps
from workflows.telling import Telling
from workflows.vouching import Vouching


@workflow.defn(failure_exception_types=options.BUGS)
class Remediation:
    @workflow.init
    def __init__(self, request: RemediationRequest) -> None:
        self._request = request
        self._policy = request.policy
        self._progress = Progress(request)
        self._review = ReviewWait(request)
        self._vouching = Vouching(request, self._review)
        self._steps = Steps(request)
        self._telling = Telling(request, self._steps, self._progress, self._review)
        self._snapshot = SnapshotStage(request, self._steps, self._progress)
        self._reports = Reports(request, self._progress)
        asking = Asking(request, self._steps, self._progress, self._telling, self._vouching)
        self._deciding = Deciding(request, self._progress, asking)
        self._rolling_out = RollingOut(request, self._steps, self._progress, self._telling, self._reports)
        self._on_alarm = OnAlarmPath(self._steps, self._progress)
        self._shadow = ShadowPath(request, self._steps, self._progress, self._deciding)
        self._recalibrating = Recalibrating(request, self._steps, self._progress, self._rolling_out, self._reports)
        self._closing = Closing(self._steps, self._progress, self._telling, self._review, self._recalibrating)

    @workflow.run
    async def run(self, request: RemediationRequest) -> IncidentReport:  # noqa: ARG002 - __init__ keeps it
        """Whatever happens in between, the incident is closed: cleaned up, recorded, told."""
        try:
            report = await self._stages()
        except (Exception, asyncio.CancelledError) as end:  # noqa: BLE001 - whichever way it ends, closing follows
            report = self._reports.broken_off(end)
        closing = asyncio.ensure_future(self._closing.close(report, promoting=self._rolling_out.begun))
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError:
                continue
            except Exception:  # noqa: BLE001 - raised again below, by result()
                break
        return closing.result()

    async def _stages(self) -> IncidentReport:
        snapshot = await self._snapshot.taken()
        if snapshot is None:
            return self._reports.short_of_data()
        judgement = await self._judged(snapshot)
        routing = self._deciding.routed(judgement, snapshot)
        if self._policy.mode is Mode.SHADOW:
            return await self._shadowed(routing)
        if routing.route is Route.RECALIBRATE:
            return await self._recalibrating.carried_out(snapshot)
        if judgement is None or not await self._deciding.promotes(judgement, routing):
            return await self._kept(snapshot)
        out = self._rolling_out
        promotion = await out.promote(snapshot, judgement)
        return await out.bake(promotion) or await out.watch(promotion) or self._reports.promoted(promotion)

    async def _kept(self, snapshot: Snapshot) -> IncidentReport:
        """The champion stays; where nobody answered, with the shift that its own record asks for."""
        if self._deciding.unanswered and self._deciding.recalibration_wanted:
            return await self._recalibrating.carried_out(snapshot)
        return self._reports.held()

    async def _judged(self, snapshot: Snapshot) -> Judgement | None:
        """By the shadow bench where it is asked for and knows enough. None where only a recalibration is to be decided."""
        if self._policy.training.judging is Judging.SHADOW:
            judgement = await self._shadow.judged(snapshot)
            if judgement is not None or self._shadow.only_recalibrates:
                return judgement
        return await self._on_alarm.judged(snapshot)

    async def _shadowed(self, routing: Routing) -> IncidentReport:
        """Decided and recorded like the real thing, and nothing else."""
        self._progress.learn(would_have=routing.route)
        await self._steps.record(AuditEvent.DECIDED, self._progress.record())
        return self._reports.shadowed(routing)

    @workflow.query
    def status(self) -> RemediationStatus:
        return self._progress.status(self._review)

    @workflow.signal(dynamic=True)
    async def on_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """Decisions, and what the lifecycle passes on; the rest is kept in quarantine. Nothing a sender does can raise here."""
        try:
            inbox.known(name, ("approve", "reject", "policy", "cleared"))
            if name == "policy":
                self._review.configure(inbox.policy(args).review)
            elif name == "cleared":
                self._review.cleared(inbox.parse(Cleared, args))
            else:
                await self._vouching.take(inbox.parse(Decision, args, typed=True, approve=name == "approve"))
        except inbox.MalformedInputError as error:
            note = inbox.quarantined(name, args, str(error))
            self._progress.quarantine = (*self._progress.quarantine, note)[-20:]

    @workflow.update(dynamic=True)
    async def on_update(self, name: str, args: Sequence[RawValue]) -> ReviewOutcome:  # noqa: ARG002 - the validator knows it
        """What can be told without a look at the ticket, the validator refused already."""
        answer = await self._vouching.take(inbox.parse(Decision, args))
        if isinstance(answer, Refused):
            raise ApplicationError(answer.reason, type=answer.kind.value)
        return answer

    @on_update.validator
    def _check_update(self, name: str, args: Sequence[RawValue]) -> None:
        """A refusal reaches the caller with its type and leaves no history."""
        try:
            inbox.known(name, ("decide",))
            decision = inbox.parse(Decision, args, typed=True)
        except inbox.MalformedInputError as error:
            raise inbox.refused(error) from None
        if decision.evidence is None:
            raise ApplicationError("evidence: name the digest that you were shown", type="Malformed")
        refusal = self._review.refuse(decision)
        if refusal is not None:
            raise ApplicationError(refusal.reason, type=refusal.kind.value)
