"""Our own alarm format, read strictly. The other formats are translated into it, so that one check serves all."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from bridge.items import Ended, Item, Refused, Understood
from bridge.reading import Json, head
from contracts.alarm import Alarm, AlarmKind, Cleared, Reading, Severity
from policies.intake import from_the_future

MAX_ALARM_BYTES: Final = 60_000
"""A lifecycle reads no larger signal."""
CLEARED: Final = "cleared"
"""The `status` by which a sender says that what its alarm told of has ended."""
MAX_ID: Final = 200
MAX_MESSAGE: Final = 4000
MAX_LABELS: Final = 50
_HINTS: Final = {
    "id": "send a text that stays the same when the alarm is sent again",
    "endpoint": "send the endpoint's name: 1 to 63 letters, digits and hyphens",
    "kind": f"send one of {', '.join(AlarmKind)}",
    "severity": f"send one of {', '.join(Severity)}",
    "as_of": "send the time of the data as ISO 8601 with a zone, for example 2026-03-01T12:00:00Z",
    "anomaly_start": "send ISO 8601 with a zone, or leave it out",
    "anomaly_end": "send ISO 8601 with a zone, or leave it out",
    "metrics": 'send a list such as [{"name": "recall", "value": 0.61, "threshold": 0.7}]',
    "labels": "send an object of short texts",
}
_NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})

_LabelName = Annotated[str, StringConstraints(max_length=100)]
_LabelValue = Annotated[str, StringConstraints(max_length=1000)]


class ReadingBody(Reading):
    model_config = ConfigDict(extra="forbid")


class AlarmBody(Alarm):
    """An alarm as it may come from outside: no unknown field, nothing converted in silence."""

    model_config = ConfigDict(extra="forbid")

    metrics: tuple[ReadingBody, ...] = Field(default=(), max_length=50)
    labels: dict[_LabelName, _LabelValue] = Field(default_factory=dict, max_length=MAX_LABELS)


def alarm_from(raw: Json, *, names: Mapping[str, str] = _NO_NAMES) -> Item:
    """Check one alarm. `names` says what a translated field is called in the sender's format."""
    if not isinstance(raw, dict):
        return Refused(f"an alarm is a JSON object, found {kind_of(raw)}", head(raw))
    if raw.get("status") == CLEARED:
        return ended_from(raw, names=names)
    text = json.dumps(raw)
    try:
        body = AlarmBody.model_validate_json(text, strict=True)
    except ValidationError as error:
        reasons = [_reason(detail, names) for detail in error.errors(include_url=False)]
        return Refused("; ".join(dict.fromkeys(reasons))[:MAX_MESSAGE], head(raw))
    alarm = Alarm.model_validate(body.model_dump())
    early = from_the_future(as_of=alarm.as_of, now=datetime.now(UTC))
    if early is not None:
        return Refused(early, head(raw))
    if len(alarm.model_dump_json().encode()) > MAX_ALARM_BYTES:
        return Refused(f"the alarm is larger than {MAX_ALARM_BYTES} bytes; send fewer labels and metrics", head(raw))
    return Understood(alarm)


def ended_from(raw: dict[str, Json], *, names: Mapping[str, str] = _NO_NAMES) -> Item:
    """The end of what an alarm told of: its id, and the endpoint. Whatever else is there is left alone."""
    known = {name: raw[name] for name in Cleared.model_fields if name in raw}
    try:
        return Ended(Cleared.model_validate_json(json.dumps(known), strict=True))
    except ValidationError as error:
        reasons = [_reason(detail, names) for detail in error.errors(include_url=False)]
        return Refused("; ".join(dict.fromkeys(reasons))[:MAX_MESSAGE], head(raw))


def bounded_id(text: str) -> str:
    """The text, or its digest where it is too long for an id."""
    return text if len(text) <= MAX_ID else f"sha256:{sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def bounded_labels(labels: Mapping[str, Json]) -> dict[str, str]:
    """What a foreign format calls labels, cut to what an alarm may carry."""
    texts = [(name[:100], value[:1000]) for name, value in labels.items() if isinstance(value, str)]
    return dict(texts[:MAX_LABELS])


def kind_of(value: Json) -> str:
    """What JSON calls it."""
    known = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    return known.get(type(value), "a number")


def _reason(detail: ErrorDetails, names: Mapping[str, str]) -> str:
    location = [str(part) for part in detail["loc"] if part != "[key]"]
    top = location[0] if location else ""
    field = ".".join([names.get(top, top), *location[1:]]) or "the alarm"
    if detail["type"] == "extra_forbidden":
        return f"{field}: is unknown; known are {', '.join(_known(location))}"
    if detail["type"] == "missing":
        return f"{field}: is missing{_hint(top)}"
    if not isinstance(detail["input"], str | int | float | bool | None):
        return f"{field}: found {kind_of(detail['input'])}; {_plain(detail)}{_hint(top)}"
    return f"{field}: read {json.dumps(detail['input'])[:100]}; {_plain(detail)}{_hint(top)}"


def _known(location: list[str]) -> list[str]:
    return list((AlarmBody if len(location) == 1 else ReadingBody).model_fields)


def _plain(detail: ErrorDetails) -> str:
    return detail["msg"].replace("Input should", "should").replace("String should", "should").removeprefix("Value error, ")


def _hint(field: str) -> str:
    return f"; {_HINTS[field]}" if field in _HINTS else ""
