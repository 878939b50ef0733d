"""The one open incident of a lifecycle: opening, following (across runs, too), deciding, cancelling, settling."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

from contracts.alarm import Alarm
from contracts.ids import incident_id, remediation_id
from contracts.incident import (
    IncidentReport,
    OpenIncident,
    RemediationRequest,
    RollbackReport,
    RollbackRequest,
    StartRollback,
)
from policies.intake import representative, weeks_between
from workflows import following, options, sentences, visibility
from workflows.ledger import Ledger
from workflows.remediation import Remediation
from workflows.review_wait import VOUCHED_RULES
from workflows.rollback import Rollback
from workflows.tracing import within

TOLD = 100
"""So many alarms a remediation is told of; the ledger has the fate of all."""


class Incidents:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._following: asyncio.Task[IncidentReport] | None = None

    def closed(self) -> bool:
        return self._following is not None and self._following.done()

    def settle(self) -> None:
        assert self._following is not None
        self._ledger.closed(self._following.result())
        self._following = None

    async def open_next(self, interrupted: Callable[[], bool]) -> None:
        """Debounce, then one incident for all alarms at hand, in the trace of the first."""
        policy = self._ledger.state.policy
        assert policy is not None  # can_open() said so
        if policy.intake.debounce and not self._ledger.asked_for():
            self._ledger.show("debounce")
            if await self._interrupted(policy.intake.debounce, interrupted):
                return
        alarms = self._ledger.judge_pending()
        if not alarms:
            return
        request = self._request(alarms)
        incident = _open_incident(request)
        self._ledger.opening(incident)
        self._ledger.show("incident")
        try:
            with within(request.trace):
                handle = await self._start(request, incident.workflow_id)
        except WorkflowAlreadyStartedError:
            self._ledger.was_there_before(incident, alarms)
            return
        self._ledger.opened(incident, alarms)
        self._following = asyncio.ensure_future(following.result_of(handle, incident, request.endpoint, policy))

    async def _interrupted(self, debounce: timedelta, interrupted: Callable[[], bool]) -> bool:
        """True where a pause or a rollback came while more alarms were waited for: the alarms wait on."""
        try:
            await workflow.wait_condition(
                lambda: interrupted() or self._ledger.state.paused is not None,
                timeout=debounce,
                timeout_summary="debounce: more alarms may belong to this",
            )
        except TimeoutError:
            return False
        return True

    def _request(self, alarms: Sequence[Alarm]) -> RemediationRequest:
        state = self._ledger.state
        policy = state.policy
        assert policy is not None
        return RemediationRequest(
            endpoint=state.endpoint,
            incident=incident_id(alarms[0].id, alarms[0].as_of),
            alarms=representative(alarms, TOLD),
            policy=policy,
            promotion_tokens=self._ledger.tokens(policy, alarms),
            weeks_since_promotion=weeks_between(state.promoted_as_of, max(a.as_of for a in alarms)),
            trace=next((a.trace for a in alarms if a.trace), None),
            strict_looks=state.strict_looks,
            rules=VOUCHED_RULES,
        )

    async def _start(self, request: RemediationRequest, workflow_id: str) -> ChildWorkflowHandle[Remediation, IncidentReport]:
        return await workflow.start_child_workflow(
            Remediation.run,
            request,
            id=workflow_id,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            cancellation_type=ChildWorkflowCancellationType.ABANDON,
            search_attributes=visibility.attributes(
                {
                    visibility.ENDPOINT: request.endpoint,
                    visibility.INCIDENT: request.incident,
                    visibility.SEVERITY: request.severity.value,
                    visibility.TEAM: request.policy.team,
                    visibility.STAGE: "snapshot",
                    visibility.WAITING_ON: "nothing",
                }
            ),
            static_summary=f"{request.endpoint}: {request.alarms[0].kind.value}, {request.severity.value}",
        )

    def follow_again(self) -> None:
        """A new run gets no event of a child that an earlier run began: an activity waits for it instead."""
        state = self._ledger.state
        now_open = state.open
        if now_open is not None and state.policy is not None:
            self._following = asyncio.ensure_future(following.follow(now_open, state.endpoint, state.policy))

    async def forward(self, name: str, args: Sequence[object]) -> str | None:
        """Pass a decision on; returns why it could not be."""
        now_open = self._ledger.state.open
        if now_open is None:
            return f"{name}: no incident is open"
        try:
            await workflow.get_external_workflow_handle(now_open.workflow_id).signal(name, args=list(args))
        except ApplicationError as error:
            return f"{name}: too late, {now_open.incident} has closed ({error.type})"
        return None

    async def cancel_open(self) -> None:
        now_open = self._ledger.state.open
        if now_open is None or self._following is None:
            return
        try:
            await workflow.get_external_workflow_handle(now_open.workflow_id).cancel()
        except ApplicationError:
            workflow.logger.info("incident_closed_before_cancel", extra={"incident": now_open.incident})
        try:
            await workflow.wait_condition(self.closed, timeout=options.CANCEL_PATIENCE, timeout_summary="the incident closes")
        except TimeoutError:
            workflow.logger.warning("incident_does_not_close", extra={"incident": now_open.incident})
            return
        self.settle()

    async def start_rollback(self, workflow_id: str, request: RollbackRequest) -> "asyncio.Task[RollbackReport]":
        state = self._ledger.state
        assert state.policy is not None  # the validator refused otherwise
        handle = await workflow.start_child_workflow(
            Rollback.run,
            StartRollback(endpoint=state.endpoint, policy=state.policy, by=request.by, reason=request.reason),
            id=workflow_id,
            parent_close_policy=ParentClosePolicy.ABANDON,
            search_attributes=visibility.attributes(
                {
                    visibility.ENDPOINT: state.endpoint,
                    visibility.TEAM: state.policy.team,
                    visibility.STAGE: "rollback",
                    visibility.WAITING_ON: "nothing",
                }
            ),
        )
        return asyncio.ensure_future(_rollback_result(handle, state.endpoint))


def _open_incident(request: RemediationRequest) -> OpenIncident:
    return OpenIncident(
        incident=request.incident,
        workflow_id=remediation_id(request.endpoint, request.incident),
        as_of=max(a.as_of for a in request.alarms),
        severity=request.severity,
        started=workflow.now(),
    )


async def _rollback_result(handle: ChildWorkflowHandle[Rollback, RollbackReport], endpoint: str) -> RollbackReport:
    try:
        return await handle
    except ChildWorkflowError as error:
        return RollbackReport(endpoint=endpoint, done=False, sentence=sentences.cause(error))
