"""Asks and tells workflows, and says clearly who didn't answer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from temporalio.client import (
    RPCTimeoutOrCancelledError,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import QueryRejectCondition
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from console.call import Call, from_rpc
from console.exits import Missing, Refused, Unreachable
from contracts.ids import lifecycle_id, remediation_id
from contracts.incident import LifecycleStatus, RemediationStatus
from runtime.search_attributes import INCIDENT, STAGE, WAITING_ON

LIFECYCLE: Final = "EndpointLifecycle"
_AT_ONCE: Final = 16
_MANY: Final = 20

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True)
class Seen:
    """A running lifecycle as Temporal's visibility store shows it, workers or not."""

    endpoint: str
    stage: str
    waiting_on: str
    incident: str


async def running_lifecycles(call: Call) -> dict[str, Seen]:
    """Every endpoint with a running lifecycle, by name."""
    client = await call.client()
    found: dict[str, Seen] = {}
    query = f"WorkflowType = '{LIFECYCLE}' AND ExecutionStatus = 'Running'"
    async for run in client.list_workflows(query, rpc_timeout=call.timeout):
        name = run.id.removeprefix(lifecycle_id(""))
        read = run.typed_search_attributes.get
        found[name] = Seen(name, _text(read(STAGE)), _text(read(WAITING_ON)), _text(read(INCIDENT)))
    return dict(sorted(found.items()))


def _text(value: str | None) -> str:
    return value or ""


async def each(items: Iterable[S], do: Callable[[S], Awaitable[T]]) -> list[T]:
    """Do it for all, a few at a time, in order; the first that fails ends them all."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(item: S) -> T:
        async with slots:
            return await do(item)

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


async def lifecycle_status(call: Call, endpoint: str) -> LifecycleStatus:
    """Raises: Missing (no lifecycle, or it doesn't run), Unreachable (no worker, no server)."""
    return await _query(call, lifecycle_id(endpoint), LifecycleStatus, QueryRejectCondition.NOT_OPEN)


async def remediation_status(call: Call, endpoint: str, incident: str) -> RemediationStatus:
    """Of a running or an ended remediation. Raises: Missing, Unreachable."""
    return await _query(call, remediation_id(endpoint, incident), RemediationStatus, None)


async def _query(call: Call, workflow_id: str, kind: type[T], reject: QueryRejectCondition | None) -> T:
    handle: WorkflowHandle[Any, Any] = (await call.client()).get_workflow_handle(workflow_id)
    try:
        answer: T = await handle.query("status", result_type=kind, reject_condition=reject, rpc_timeout=call.timeout)
    except WorkflowQueryRejectedError as error:
        state = error.status.name.lower() if error.status else "closed"
        raise Missing(f"{workflow_id} does not run any more ({state}).", "`python starter.py apply FILE` starts it.") from error
    except WorkflowQueryFailedError as error:
        raise Refused(f"{workflow_id} could not answer: {error.message}.", "Look at the worker's log.") from error
    except (ValidationError, RuntimeError) as error:
        raise Refused(
            f"{workflow_id} answered in a shape that this command line can't read: {str(error)[:300]}.",
            "It may run another version: use the command line of the worker's version.",
        ) from error
    except RPCError as error:
        raise _unanswered(error, workflow_id) from error
    return answer


async def update(call: Call, workflow_id: str, name: str, argument: object, result: type[T]) -> T:
    """Send an update and wait for its result.

    Raises:
        Refused: by the validator; `kind` is its type, such as AlreadyDecided.
        Missing: no such workflow, or it has ended.
        Unreachable: no worker took it in time; it may still be carried out.
    """
    handle: WorkflowHandle[Any, Any] = (await call.client()).get_workflow_handle(workflow_id)
    try:
        async with asyncio.timeout(call.timeout.total_seconds()):
            done: T = await handle.execute_update(name, argument, result_type=result)
    except (TimeoutError, RPCTimeoutOrCancelledError) as error:
        raise Unreachable(
            f"nobody answered `{name}` on {workflow_id} within {call.timeout.total_seconds():g} s.",
            "Check with `python starter.py doctor` that a worker runs. It may still be carried out: "
            "look at `python starter.py status` before you try again.",
        ) from error
    except WorkflowUpdateFailedError as error:
        raise _refusal(error) from error
    except RPCError as error:
        raise _unanswered(error, workflow_id) from error
    return done


async def signal(call: Call, workflow_id: str, name: str, argument: object) -> None:
    """Raises: Missing (no such workflow, or it has ended), Unreachable."""
    handle = (await call.client()).get_workflow_handle(workflow_id)
    try:
        await handle.signal(name, argument, rpc_timeout=call.timeout)
    except RPCError as error:
        raise _unanswered(error, workflow_id) from error


async def execution(call: Call, workflow_id: str) -> WorkflowExecutionStatus | None:
    """How the newest run stands; None where Temporal knows nothing of it."""
    handle = (await call.client()).get_workflow_handle(workflow_id)
    try:
        return (await handle.describe(rpc_timeout=call.timeout)).status
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise


def _refusal(error: WorkflowUpdateFailedError) -> Refused:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return Refused(f"{cause.message}.".replace("..", "."), kind=cause.type or "Refused")
    return Refused(f"the workflow refused: {cause}.")


def _unanswered(error: RPCError, workflow_id: str) -> Missing | Unreachable | Refused:
    if error.status == RPCStatusCode.NOT_FOUND:
        return Missing(f"{workflow_id} is not there, or does not run any more ({error.message}).")
    halt = from_rpc(error)
    assert isinstance(halt, Missing | Unreachable | Refused)
    return halt


async def unknown_endpoint(call: Call, endpoint: str) -> Missing:
    """For an endpoint without a running lifecycle: says which ones there are, the most alike first."""
    running = await running_lifecycles(call)
    alike = get_close_matches(endpoint, running)
    known = [*alike, *(name for name in running if name not in alike)]
    shown = ", ".join(known[:_MANY]) + (f" and {len(known) - _MANY} more" if len(known) > _MANY else "")
    there = f"Running endpoints: {shown}." if known else "No endpoint runs yet."
    return Missing(
        f"ENDPOINT: no lifecycle runs for {endpoint!r}. {there}",
        "Check the name, or add it to the fleet file and run `python starter.py apply FILE`.",
    )
