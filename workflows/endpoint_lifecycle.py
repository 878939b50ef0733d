"""One endpoint, for years: takes alarms, opens at most one incident, cools down, pauses, rolls back. Idle costs nothing."""

from collections import deque
from collections.abc import Sequence

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts.alarm import Alarm, Cleared
    from contracts.fleet import EndpointPolicy
    from contracts.ids import rollback_id
    from contracts.incident import (
        Accepted,
        LifecycleState,
        LifecycleStatus,
        Pause,
        PauseRequest,
        ResumeRequest,
        RollbackRequest,
    )
    from contracts.review import RefusedDecision

from workflows import inbox, options
from workflows.incidents import Incidents
from workflows.ledger import Ledger

SIGNALS = ("alarm", "cleared", "approve", "reject", "pause", "resume")
DECISIONS = ("approve", "reject")
UPDATES = ("configure", "rollback")


@workflow.defn
class EndpointLifecycle:
    @workflow.init
    def __init__(self, state: LifecycleState) -> None:
        self._ledger = Ledger(state)
        self._incidents = Incidents(self._ledger)
        self._news: deque[tuple[str, Sequence[object]]] = deque()
        """For the open incident: decisions, cleared alarms, another policy."""
        self._rollback: tuple[str, RollbackRequest] | None = None
        self._rolling: str | None = None

    @workflow.run
    async def run(self, state: LifecycleState) -> None:  # noqa: ARG002 - __init__ keeps it
        self._incidents.follow_again()
        while True:
            self._show()
            await workflow.wait_condition(lambda: self._has_work() or self._renewal_due())
            await self._work()
            if self._renewal_due():
                await self._renew()

    def _has_work(self) -> bool:
        return bool(self._news) or self._rollback is not None or self._incidents.closed() or self._ledger.can_open()

    async def _work(self) -> None:
        """One round, in order of urgency."""
        if self._incidents.closed():
            self._incidents.settle()
        while self._news:
            await self._forward(*self._news.popleft())
        if self._rollback is not None:
            await self._roll_back(*self._rollback)
        if self._ledger.can_open():
            await self._incidents.open_next(lambda: self._rollback is not None)

    def _renewal_due(self) -> bool:
        info = workflow.info()
        long = info.is_continue_as_new_suggested() or info.get_current_history_length() > options.RENEW_AFTER_EVENTS
        return long and self._rollback is None and not self._news and not self._incidents.closed()

    async def _renew(self) -> None:
        """Handlers are drained; what came in meanwhile is worked on first; then the state goes on with no await between."""
        await workflow.wait_condition(lambda: workflow.all_handlers_finished() or not self._renewal_due())
        if self._renewal_due():
            workflow.continue_as_new(self._ledger.state)

    async def _forward(self, name: str, args: Sequence[object]) -> None:
        """A decision by plain signal goes to the open incident; without one it is refused where people look."""
        refusal = await self._incidents.forward(name, args)
        if refusal is not None and name in DECISIONS:
            self._ledger.refuse(RefusedDecision(reviewer="by signal", reason=refusal, at=workflow.now()))

    async def _roll_back(self, workflow_id: str, request: RollbackRequest) -> None:
        """An open incident is cancelled and closes first, so that two never change serving at once."""
        await self._incidents.cancel_open()
        try:
            handle = await self._incidents.start_rollback(workflow_id, request)
            self._rolling = workflow_id
            self._show()
            self._ledger.rolled_back(await handle)
        finally:
            self._rollback = self._rolling = None

    def _show(self) -> None:
        self._ledger.show(self._stage())

    def _stage(self) -> str:
        state = self._ledger.state
        if self._rolling:
            return "rollback"
        if state.open is not None:
            return "incident"
        if state.policy is None:
            return "unconfigured"
        if state.paused is not None:
            return "paused"
        return "debounce" if state.pending else "idle"

    @workflow.query
    def status(self) -> LifecycleStatus:
        return LifecycleStatus(state=self._ledger.state, stage=self._stage(), rolling_back=self._rolling)

    @workflow.signal(dynamic=True)
    def on_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """Every signal comes through here. Nothing a sender does can raise: what can't be read is quarantined."""
        try:
            inbox.known(name, SIGNALS)
            if name in DECISIONS:
                self._news.append((name, args))
            else:
                self._take(name, args)
        except inbox.MalformedInputError as error:
            self._ledger.quarantine(inbox.quarantined(name, args, str(error)))

    def _take(self, name: str, args: Sequence[RawValue]) -> None:
        if name == "alarm":
            self._ledger.take(inbox.parse(Alarm, args))
        elif name == "cleared":
            self._clear(inbox.parse(Cleared, args))
        elif name == "pause":
            request = inbox.parse(PauseRequest, args, typed=True)
            self._ledger.pause(Pause(by=request.by, reason=request.reason, at=workflow.now()))
        else:
            inbox.parse(ResumeRequest, args, typed=True)
            self._ledger.pause(None)

    def _clear(self, cleared: Cleared) -> None:
        """Alarms that wait are taken back; the open incident learns of those that opened it. A detector may have raised both."""
        waited = self._ledger.clear(cleared)
        if (not waited or cleared.detector) and self._ledger.state.open is not None:
            self._news.append(("cleared", [cleared]))

    def _configure(self, policy: EndpointPolicy) -> None:
        """A review that waits goes by the new policy, too. Of an incident from before it could, nothing is asked."""
        changed = policy != self._ledger.state.policy
        self._ledger.configure(policy)
        self._show()
        if changed and self._ledger.state.open is not None and workflow.patched("policy-reaches-the-review"):
            self._news.append(("policy", [policy]))

    @workflow.update(dynamic=True)
    async def on_update(self, name: str, args: Sequence[RawValue]) -> Accepted:
        if name == "configure":
            self._configure(inbox.policy(args))
            return Accepted(message="configured")
        request = inbox.parse(RollbackRequest, args)
        workflow_id = rollback_id(self._ledger.state.endpoint, workflow.uuid4().hex[:12])
        self._rollback = (workflow_id, request)
        await workflow.wait_condition(lambda: self._rolling == workflow_id or self._rollback is None)
        return Accepted(workflow_id=workflow_id, message="rolling back")

    @on_update.validator
    def _check_update(self, name: str, args: Sequence[RawValue]) -> None:
        """A refusal reaches the caller with its type and leaves no history."""
        try:
            inbox.known(name, UPDATES)
            if name == "configure":
                inbox.policy(args, typed=True)
            else:
                inbox.parse(RollbackRequest, args, typed=True)
        except inbox.MalformedInputError as error:
            raise inbox.refused(error) from None
        if name == "rollback" and self._rollback is not None:
            raise ApplicationError("a rollback is under way already", type="AlreadyRollingBack")
        if name == "rollback" and self._ledger.state.policy is None:
            raise ApplicationError("the endpoint was never configured: apply its fleet file first", type="Unconfigured")
