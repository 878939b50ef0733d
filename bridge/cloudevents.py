"""CloudEvents 1.0, structured and binary: our alarm, or a CloudWatch event, in `data`.

What `data` leaves out comes from the envelope: `time` for as_of, `source` and `id` for the alarm's id, `subject` for the
endpoint.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from bridge.cloudwatch import alarm_from_cloudwatch, is_cloudwatch
from bridge.items import BodyError, Item, Refused
from bridge.own import alarm_from, bounded_id, kind_of
from bridge.reading import Json, head, read_json
from bridge.routing import NO_ROUTES, Routes

_REQUIRED: Final = ("specversion", "id", "source", "type")
_NAMES: Final = {"as_of": "time (or data.as_of)", "endpoint": "data.endpoint", "kind": "data.kind"}


def is_event(raw: Json) -> bool:
    return isinstance(raw, dict) and "specversion" in raw


def is_binary(headers: Mapping[str, str]) -> bool:
    return "ce-specversion" in headers


def alarm_from_event(raw: Json, routes: Routes = NO_ROUTES) -> Item:
    """One structured event."""
    if not isinstance(raw, dict):
        return Refused(f"a CloudEvent is a JSON object, found {kind_of(raw)}", head(raw))
    missing = [name for name in _REQUIRED if not isinstance(raw.get(name), str) or not raw[name]]
    if missing:
        return Refused(f"{', '.join(missing)}: is missing; a CloudEvent carries {', '.join(_REQUIRED)}", head(raw))
    if raw["specversion"] != "1.0":
        return Refused(f"specversion: read {raw['specversion'][:20]!r}; only '1.0' is understood", head(raw))
    try:
        data = _data(raw)
    except BodyError as error:
        return Refused(f"data_base64: {error.reason}", head(raw))
    return alarm_from_cloudwatch(data, routes) if is_cloudwatch(data) else _alarm(raw, data)


def alarm_from_headers(headers: Mapping[str, str], data: Json, routes: Routes = NO_ROUTES) -> Item:
    """One event in binary mode: attributes in `ce-` headers, `data` in the body."""
    attributes = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
    return alarm_from_event({**attributes, "data": data}, routes)


def _data(raw: dict[str, Json]) -> Json:
    if "data" in raw or "data_base64" not in raw:
        return raw.get("data")
    try:
        return read_json(base64.b64decode(raw["data_base64"], validate=True))
    except (TypeError, ValueError, binascii.Error):
        raise BodyError(400, "isn't base64") from None


def _alarm(raw: dict[str, Json], data: Json) -> Item:
    if not isinstance(data, dict):
        return Refused(f"data: should be an alarm as a JSON object, found {kind_of(data)}", head(raw))
    envelope = {
        "id": bounded_id(f"{raw['source']}#{raw['id']}"),
        "source": raw["source"][:200],
        "as_of": raw.get("time"),
        "endpoint": raw.get("subject"),
        "trace": raw.get("traceparent"),
    }
    given = {name: value for name, value in envelope.items() if value is not None}
    return alarm_from({**given, **data}, names=_NAMES)
