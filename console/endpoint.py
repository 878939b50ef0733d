"""`rollback`, `pause`, `resume`: an operator takes hold of one endpoint."""

import asyncio
from typing import Final

from temporalio.client import RPCTimeoutOrCancelledError, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from console.call import Call
from console.exits import Exit, Missing, Refused, Unreachable
from console.inputs import contract, endpoint_name, whoami
from console.screen import Answer, lines
from console.temporal import lifecycle_status, signal, unknown_endpoint, update
from contracts.ids import lifecycle_id
from contracts.incident import Accepted, LifecycleStatus, PauseRequest, ResumeRequest, RollbackReport, RollbackRequest

_FLAGS: Final = {"by": "--by", "reason": "--reason"}


async def rollback(call: Call) -> Answer:
    endpoint = endpoint_name(call.given.endpoint)
    request = contract(RollbackRequest, _FLAGS, by=_by(call), reason=call.given.reason)
    try:
        accepted = await update(call, lifecycle_id(endpoint), "rollback", request, Accepted)
    except Missing:
        raise await unknown_endpoint(call, endpoint) from None
    report = await _finished(call, endpoint, accepted.workflow_id)
    data = {"endpoint": endpoint, "workflow_id": accepted.workflow_id, **report.model_dump(mode="json")}
    said = [report.sentence, *([f"champion  {report.champion}"] if report.champion else [])]
    return Answer(data, lines(said), Exit.DONE if report.done else Exit.REFUSED)


async def _finished(call: Call, endpoint: str, workflow_id: str) -> RollbackReport:
    handle = (await call.client()).get_workflow_handle(workflow_id, result_type=RollbackReport)
    try:
        async with asyncio.timeout(call.timeout.total_seconds()):
            report: RollbackReport = await handle.result()
    except (TimeoutError, RPCTimeoutOrCancelledError):
        raise Unreachable(
            f"{workflow_id} was accepted and has not ended within {call.timeout.total_seconds():g} s; it goes on.",
            f"Look at `python starter.py status {endpoint}` before you ask again: a second rollback goes one model further back.",
        ) from None
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        raise Refused(f"{workflow_id} was accepted and never started.", "Look at the worker's log.") from error
    except WorkflowFailureError as error:
        raise Refused(
            f"{workflow_id} failed: {error.cause}.", f"`python starter.py status {endpoint}` shows what is in service."
        ) from error
    return report


async def pause(call: Call) -> Answer:
    return await _hold(call, pause=True)


async def resume(call: Call) -> Answer:
    return await _hold(call, pause=False)


async def _hold(call: Call, *, pause: bool) -> Answer:
    endpoint = endpoint_name(call.given.endpoint)
    kind: type[PauseRequest | ResumeRequest] = PauseRequest if pause else ResumeRequest
    said = contract(kind, _FLAGS, by=_by(call), reason=call.given.reason)
    try:
        await signal(call, lifecycle_id(endpoint), "pause" if pause else "resume", said)
    except Missing:
        raise await unknown_endpoint(call, endpoint) from None
    status = await _after(call, endpoint)
    confirmed = status is not None and (status.state.paused is not None) == pause
    wanted = "paused" if pause else "resumed"
    data = {"endpoint": endpoint, "paused": pause, "by": said.by, "reason": said.reason, "confirmed": confirmed}
    tail = "" if confirmed else " (sent and kept; no worker has confirmed it yet)"
    return Answer(data, lines([f"{endpoint} is {wanted} by {said.by}{tail}"]))


async def _after(call: Call, endpoint: str) -> LifecycleStatus | None:
    try:
        return await lifecycle_status(call, endpoint)
    except (Unreachable, Refused, Missing):
        return None


def _by(call: Call) -> str:
    return whoami() if call.given.by is None else str(call.given.by)
