"""CloudWatch's 'Alarm State Change' as EventBridge delivers it.

The endpoint comes from the alarm's tag `endpoint`, else from the dimension `EndpointName` or `Endpoint` of its metrics. The
kind comes from the tag `kind`, else from the metric's namespace. A composite alarm has no metrics, so it needs the tags.
"""

import json
import math
from typing import Final

from bridge.alertmanager import severity_of
from bridge.items import Ignored, Item, Refused
from bridge.own import MAX_MESSAGE, alarm_from, bounded_id, bounded_labels, ended_from
from bridge.reading import Json, head
from contracts.alarm import AlarmKind

DETAIL_TYPE: Final = "CloudWatch Alarm State Change"
_NAMES: Final = {"endpoint": "detail.alarmTags.endpoint", "kind": "detail.alarmTags.kind", "as_of": "detail.state.timestamp"}
_KINDS: Final = {"data-metrics": AlarmKind.DATA_DRIFT, "model-metrics": AlarmKind.MODEL_QUALITY, "bias-metrics": AlarmKind.BIAS}


def is_cloudwatch(raw: Json) -> bool:
    return isinstance(raw, dict) and raw.get("detail-type") == DETAIL_TYPE


def alarm_from_cloudwatch(raw: dict[str, Json]) -> Item:
    """One item per event. OK after ALARM clears that alarm; other states are acknowledged and ignored."""
    detail = _object(raw.get("detail"))
    state, tags = _object(detail.get("state")), _object(detail.get("alarmTags"))
    metrics = _metrics_of(detail)
    name = detail.get("alarmName")
    if not isinstance(name, str):
        return Refused("detail.alarmName: is missing; send the event as EventBridge delivers it", head(raw))
    endpoint = tags.get("endpoint") or _dimension(metrics)
    stamp = state.get("timestamp") or raw.get("time")
    identity = bounded_id(f"{name}@{stamp}")
    before = _object(detail.get("previousState"))
    if state.get("value") == "OK" and before.get("value") == "ALARM":
        ended = {"id": bounded_id(f"{name}@{before.get('timestamp')}"), "endpoint": endpoint, "source": "aws.cloudwatch"}
        return ended_from(ended, names=_NAMES)
    if state.get("value") != "ALARM":
        return Ignored(identity, str(endpoint or "")[:63], f"state {str(state.get('value'))[:40]}: only ALARM is acted upon")
    translated = {
        "id": identity,
        "endpoint": endpoint,
        "kind": tags.get("kind") or _kind(metrics).value,
        "as_of": stamp,
        "severity": severity_of(tags.get("severity")).value,
        "source": "aws.cloudwatch",
        "message": f"{name}: {state.get('reason', '')}"[:MAX_MESSAGE],
        "metrics": _readings(name, state),
        "labels": bounded_labels(tags),
    }
    return alarm_from({key: value for key, value in translated.items() if value is not None}, names=_NAMES)


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _metrics_of(detail: dict[str, Json]) -> list[dict[str, Json]]:
    """`metricStat.metric` of each entry; entries that are math expressions have none."""
    listed = _object(detail.get("configuration")).get("metrics")
    entries = listed if isinstance(listed, list) else []
    return [_object(_object(_object(entry).get("metricStat")).get("metric")) for entry in entries]


def _dimension(metrics: list[dict[str, Json]]) -> Json:
    for metric in metrics:
        dimensions = _object(metric.get("dimensions"))
        found = dimensions.get("EndpointName") or dimensions.get("Endpoint")
        if found:
            return found
    return None


def _kind(metrics: list[dict[str, Json]]) -> AlarmKind:
    spaces = " ".join(str(metric.get("namespace", "")) for metric in metrics)
    return next((kind for part, kind in _KINDS.items() if part in spaces), AlarmKind.INFRASTRUCTURE)


def _readings(name: str, state: dict[str, Json]) -> list[Json]:
    """`reasonData` is JSON inside a text, and optional."""
    try:
        data = _object(json.loads(state.get("reasonData", "")))
    except (TypeError, ValueError, RecursionError):
        return []
    points = data.get("recentDatapoints")
    value, threshold = points[-1] if isinstance(points, list) and points else None, data.get("threshold")
    if not (_is_number(value) or _is_number(threshold)):
        return []
    found = {"value": value, "threshold": threshold}
    return [{"name": name[:200], **{key: number for key, number in found.items() if _is_number(number)}}]


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf
