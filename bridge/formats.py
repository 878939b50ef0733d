"""Finds out which format a body has, and reads it into items."""

from collections.abc import Mapping
from typing import Final

from bridge import alertmanager, cloudevents, cloudwatch, own
from bridge.items import BodyError, Item
from bridge.reading import MAX_ALARMS, Json, kind_of_content, read_json

JSON: Final = "application/json"
EVENT: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"


def items_from(headers: Mapping[str, str], body: bytes) -> list[Item]:
    """One item per alarm in the body; header names in lower case.

    Raises:
        BodyError: the body as a whole can't be taken.
    """
    content = kind_of_content(headers)
    if content not in (JSON, EVENT, BATCH):
        raise BodyError(415, f"Content-Type: read {content[:80]!r}; send {JSON}, {EVENT} or {BATCH}")
    raw = read_json(body)
    items = [cloudevents.alarm_from_headers(headers, raw)] if cloudevents.is_binary(headers) else _items(content, raw)
    if not items:
        raise BodyError(400, "the body holds no alarm")
    return items


def _items(content: str, raw: Json) -> list[Item]:
    if alertmanager.is_alertmanager(raw):
        _check_count(raw["alerts"])
        return alertmanager.alarms_from(raw)
    if isinstance(raw, list):
        _check_count(raw)
        return [_item(content, entry) for entry in raw]
    return [_item(content, raw)]


def _item(content: str, raw: Json) -> Item:
    if cloudwatch.is_cloudwatch(raw):
        return cloudwatch.alarm_from_cloudwatch(raw)
    if content in (EVENT, BATCH) or cloudevents.is_event(raw):
        return cloudevents.alarm_from_event(raw)
    return own.alarm_from(raw)


def _check_count(entries: Json) -> None:
    if isinstance(entries, list) and len(entries) > MAX_ALARMS:
        raise BodyError(413, f"the body holds {len(entries)} alarms; send at most {MAX_ALARMS} at a time")
