"""Finds out which format a body has, and reads it into items."""

from collections.abc import Mapping
from typing import Final

from bridge import alertmanager, cloudevents, cloudwatch, own, sagemaker, sns
from bridge.items import BodyError, Item
from bridge.reading import MAX_ALARMS, Json, kind_of_content, read_json
from bridge.routing import NO_ROUTES, Routes

JSON: Final = "application/json"
EVENT: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"


def items_from(headers: Mapping[str, str], body: bytes, routes: Routes = NO_ROUTES) -> list[Item]:
    """One item per alarm in the body; header names in lower case.

    Raises:
        BodyError: the body as a whole can't be taken.
    """
    content = kind_of_content(headers)
    if content not in (JSON, EVENT, BATCH):
        raise BodyError(415, f"Content-Type: read {content[:80]!r}; send {JSON}, {EVENT} or {BATCH}")
    raw = read_json(body)
    items = (
        [cloudevents.alarm_from_headers(headers, raw, routes)] if cloudevents.is_binary(headers) else _items(content, raw, routes)
    )
    if not items:
        raise BodyError(400, "the body holds no alarm")
    return items


def _items(content: str, raw: Json, routes: Routes) -> list[Item]:
    raw = sns.unwrapped(raw)
    if alertmanager.is_alertmanager(raw):
        _check_count(raw["alerts"])
        return alertmanager.alarms_from(raw)
    if isinstance(raw, list):
        _check_count(raw)
        return [_item(content, entry, routes) for entry in raw]
    return [_item(content, raw, routes)]


def _item(content: str, raw: Json, routes: Routes) -> Item:
    if cloudwatch.is_cloudwatch(raw):
        return cloudwatch.alarm_from_cloudwatch(raw, routes)
    if sagemaker.is_sagemaker(raw):
        return sagemaker.item_from_sagemaker(raw, routes)
    if cloudwatch.is_other_event(raw):
        return cloudwatch.item_from_other(raw)
    if sns.is_alarm_text(raw):
        return sns.alarm_from_text(raw, routes)
    if content in (EVENT, BATCH) or cloudevents.is_event(raw):
        return cloudevents.alarm_from_event(raw, routes)
    return own.alarm_from(raw)


def _check_count(entries: Json) -> None:
    if isinstance(entries, list) and len(entries) > MAX_ALARMS:
        raise BodyError(413, f"the body holds {len(entries)} alarms; send at most {MAX_ALARMS} at a time")
