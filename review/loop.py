"""The page's way to the running loop: questions with a short wait, and words that change something."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WorkflowExecution,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from contracts.ids import lifecycle_id, remediation_id
from contracts.incident import (
    Accepted,
    LifecycleStatus,
    PauseRequest,
    RemediationRequest,
    RemediationStatus,
    ResumeRequest,
    RollbackRequest,
)
from contracts.review import Decision, ReviewOutcome
from runtime.search_attributes import INCIDENT, SEVERITY, STAGE, WAITING_ON

ASK: Final = timedelta(seconds=3)
TELL: Final = timedelta(seconds=20)
_RUNNING: Final = "ExecutionStatus = 'Running' AND WorkflowType IN ('EndpointLifecycle', 'Remediation')"

T = TypeVar("T")


class Gone(Exception):
    """No such workflow, or it has ended."""


class Silent(Exception):
    """Nobody answered in time: no server, or no worker."""


class Refused(Exception):
    """The loop refused, and says why; `kind` is the refusal's type, such as 'AlreadyDecided'."""

    def __init__(self, message: str, kind: str = "Refused") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Seen:
    """A running workflow as Temporal's visibility store shows it, workers or not."""

    workflow_id: str
    run_id: str
    kind: str
    started: datetime
    stage: str
    waiting_on: str
    incident: str
    severity: str

    @property
    def mark(self) -> str:
        """Changes when there is something to ask anew."""
        return f"{self.run_id}/{self.stage}/{self.waiting_on}"

    @property
    def endpoint(self) -> str:
        return self.workflow_id.removeprefix(lifecycle_id("")).partition("/")[0]

    @property
    def is_incident(self) -> bool:
        return self.kind == "Remediation"


@dataclass
class Loop:
    """One client, which reconnects by itself."""

    client: Client

    async def running(self) -> AsyncIterator[Seen]:
        """Every lifecycle and every open incident. Raises: Silent."""
        try:
            async for run in self.client.list_workflows(_RUNNING, rpc_timeout=ASK):
                yield _seen(run)
        except (RPCError, RuntimeError) as error:
            raise Silent(str(error)) from error

    async def lifecycle(self, endpoint: str) -> LifecycleStatus:
        """Raises: Gone, Silent."""
        return await self._query(lifecycle_id(endpoint), LifecycleStatus)

    async def remediation(self, endpoint: str, incident: str) -> RemediationStatus:
        """Raises: Gone, Silent."""
        return await self._query(remediation_id(endpoint, incident), RemediationStatus)

    async def request(self, endpoint: str, incident: str) -> RemediationRequest:
        """What opened the incident: no worker is needed. Raises: Gone, Silent."""
        handle = self.client.get_workflow_handle(remediation_id(endpoint, incident))
        try:
            async with asyncio.timeout(ASK.total_seconds()):
                async for event in handle.fetch_history_events(page_size=1):
                    given = event.workflow_execution_started_event_attributes.input.payloads
                    (found,) = await self.client.data_converter.decode(given, [RemediationRequest])
                    assert isinstance(found, RemediationRequest)
                    return found
        except (RPCError, RuntimeError, TimeoutError, ValueError) as error:
            raise _unanswered(error) from error
        raise Gone(f"{handle.id} has no history")

    async def decide(self, endpoint: str, incident: str, decision: Decision) -> ReviewOutcome:
        """Raises: Refused, Gone, Silent."""
        return await self._update(remediation_id(endpoint, incident), "decide", decision, ReviewOutcome)

    async def roll_back(self, endpoint: str, request: RollbackRequest) -> Accepted:
        """Raises: Refused, Gone, Silent."""
        return await self._update(lifecycle_id(endpoint), "rollback", request, Accepted)

    async def hold(self, endpoint: str, request: PauseRequest | ResumeRequest) -> None:
        """Pause or resume. Raises: Gone, Silent."""
        name = "pause" if isinstance(request, PauseRequest) else "resume"
        try:
            await self.client.get_workflow_handle(lifecycle_id(endpoint)).signal(name, request, rpc_timeout=ASK)
        except (RPCError, RuntimeError) as error:
            raise _unanswered(error) from error

    async def _query(self, workflow_id: str, kind: type[T]) -> T:
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(workflow_id)
        try:
            async with asyncio.timeout(ASK.total_seconds()):
                answer: T = await handle.query("status", result_type=kind, rpc_timeout=ASK)
        except (
            RPCError,
            RuntimeError,
            TimeoutError,
            ValidationError,
            WorkflowQueryFailedError,
            WorkflowQueryRejectedError,
        ) as error:
            raise _unanswered(error) from error
        return answer

    async def _update(self, workflow_id: str, name: str, argument: object, result: type[T]) -> T:
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(workflow_id)
        try:
            async with asyncio.timeout(TELL.total_seconds()):
                done: T = await handle.execute_update(name, argument, result_type=result)
        except WorkflowUpdateFailedError as error:
            raise _refusal(error) from error
        except (RPCError, RuntimeError, TimeoutError, RPCTimeoutOrCancelledError) as error:
            raise _unanswered(error) from error
        return done


def _seen(run: WorkflowExecution) -> Seen:
    read = run.typed_search_attributes.get
    return Seen(
        workflow_id=run.id,
        run_id=run.run_id,
        kind=run.workflow_type,
        started=run.start_time,
        stage=read(STAGE) or "",
        waiting_on=read(WAITING_ON) or "",
        incident=read(INCIDENT) or "",
        severity=read(SEVERITY) or "",
    )


def _refusal(error: WorkflowUpdateFailedError) -> Refused:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return Refused(cause.message, cause.type or "Refused")
    return Refused(str(cause))


def _unanswered(error: Exception) -> Gone | Silent:
    if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
        return Gone(error.message)
    return Silent(str(error) or "no answer in time")
