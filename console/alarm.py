"""`alarm`: what a detector says, said by hand."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from rich.console import Console

from console.call import Call
from console.exits import Missing, Refused, Unreachable, Usage
from console.inputs import contract, endpoint_name, whoami
from console.screen import Answer, safe, utc
from console.temporal import lifecycle_status, signal, unknown_endpoint
from contracts.alarm import Alarm, Reading
from contracts.ids import lifecycle_id
from policies.intake import from_the_future

_FLAGS: Final = {
    "endpoint": "ENDPOINT",
    "as_of": "--as-of",
    "id": "--id",
    "message": "--message",
    "metrics": "--metric",
    "name": "--metric",
    "value": "--metric",
    "threshold": "--metric",
}


async def alarm(call: Call) -> Answer:
    raised = _read(call)
    try:
        await signal(call, lifecycle_id(raised.endpoint), "alarm", raised)
    except Missing:
        raise await unknown_endpoint(call, raised.endpoint) from None
    return _answer(raised, await _fate(call, raised))


def _read(call: Call) -> Alarm:
    given = call.given
    return contract(
        Alarm,
        _FLAGS,
        id=given.id if given.id is not None else f"manual-{uuid4().hex}",
        endpoint=endpoint_name(given.endpoint),
        kind=given.kind,
        severity=given.severity,
        as_of=_as_of(given.as_of),
        source=f"by hand: {whoami()}"[:200],
        message=given.message,
        metrics=tuple(_reading(text) for text in given.metric),
    )


def _as_of(text: str | None) -> datetime:
    """Raises: Usage (not ISO 8601, or without a zone)."""
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        wrong = "has no time zone" if moment else "is no time"
        raise Usage(f"--as-of: {text[:80]!r} {wrong}.", "Write ISO 8601 with a zone, for example 2012-03-04T00:00:00Z.")
    early = from_the_future(as_of=moment, now=datetime.now(UTC))
    if early is not None:
        raise Usage(f"--as-of: {early}.", "Leave --as-of out for now.")
    return moment


def _reading(text: str) -> Reading:
    name, equals, rest = text.partition("=")
    value, colon, threshold = rest.partition(":")
    if not (name and equals and value) or (colon and not threshold):
        raise Usage(
            f"--metric: {text[:80]!r} is not NAME=VALUE or NAME=VALUE:THRESHOLD.", "For example --metric accuracy=0.71:0.80"
        )
    return contract(Reading, _FLAGS, name=name, value=value, threshold=threshold or None)


async def _fate(call: Call, raised: Alarm) -> dict[str, Any]:
    """What the lifecycle made of it so far; the alarm is kept whatever comes out here."""
    try:
        state = (await lifecycle_status(call, raised.endpoint)).state
    except (Unreachable, Refused, Missing) as halt:
        return {"fate": None, "incident": None, "reason": f"kept; {halt.message}"}
    record = next((known for known in reversed(state.recent) if known.id == raised.id), None)
    if record is None:
        return {"fate": "pending", "incident": None, "reason": "kept, not judged yet"}
    return {"fate": record.fate.value, "incident": record.incident or None, "reason": record.reason}


def _answer(raised: Alarm, fate: dict[str, Any]) -> Answer:
    data = {"endpoint": raised.endpoint, "alarm": raised.id, "as_of": utc(raised.as_of), **fate}

    def show(console: Console) -> None:
        incident = f" {raised.endpoint}/{fate['incident']}" if fate["incident"] else ""
        reason = f" ({fate['reason']})" if fate["reason"] else ""
        console.print(
            safe(f"alarm {raised.id} about {raised.endpoint}: {fate['fate'] or 'sent'}{incident}{reason}"), soft_wrap=True
        )

    return Answer(data, show)
