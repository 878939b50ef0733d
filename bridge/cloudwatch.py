"""CloudWatch's 'Alarm State Change' as EventBridge delivers it: metric, math, anomaly-band and composite alarms.

Whose it is says the tag `homeostat:endpoint` (or `endpoint`), else the dimension `EndpointName` or `Endpoint` of its metrics,
else its name by the fleet file's `intake.alarms`. The kind comes from the tag `kind`, else from the metric's namespace.
A transition's id is the alarm's ARN and the time of its state, so that it is the same through EventBridge and through SNS.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.alertmanager import severity_of
from bridge.items import Ignored, Item, Refused
from bridge.own import MAX_MESSAGE, alarm_from, bounded_id, bounded_labels, ended_from
from bridge.reading import Json, head
from bridge.routing import NO_ROUTES, Routes
from contracts.alarm import AlarmKind

DETAIL_TYPE: Final = "CloudWatch Alarm State Change"
_TOLD_ELSEWHERE: Final = frozenset({"CloudWatch Alarm Configuration Change", "CloudWatch Alarm Contributor State Change"})
_SOURCE: Final = "aws.cloudwatch"
_NAMES: Final = {
    "endpoint": "the alarm's tag `homeostat:endpoint`, its dimension EndpointName, or `intake.alarms` in the fleet file",
    "kind": "detail.alarmTags.kind",
    "as_of": "detail.state.timestamp",
    "changed_at": "detail.state.timestamp",
}
_KINDS: Final = {"data-metrics": AlarmKind.DATA_DRIFT, "model-metrics": AlarmKind.MODEL_QUALITY, "bias-metrics": AlarmKind.BIAS}
_TAG_KIND: Final = ("homeostat:kind", "kind")
_TAG_SEVERITY: Final = ("homeostat:severity", "severity")


@dataclass(frozen=True)
class Transition:
    """One change of one alarm's state, whichever way it came."""

    name: str
    arn: str
    value: str
    at: Json
    reason: str
    data: Mapping[str, Json]
    before: str
    before_at: Json
    tags: Mapping[str, Json]
    namespaces: str
    dimension: Json
    triggering: tuple[str, ...] = ()
    """Names of the alarms that made a composite one fire."""


def is_cloudwatch(raw: Json) -> bool:
    return isinstance(raw, dict) and raw.get("detail-type") == DETAIL_TYPE


def is_other_event(raw: Json) -> bool:
    return isinstance(raw, dict) and "detail-type" in raw and "specversion" not in raw


def item_from_other(raw: dict[str, Json]) -> Item:
    """CloudWatch tells of changed settings and of single contributors, too; the alarm's own state says what counts."""
    kind = str(raw["detail-type"])[:80]
    if kind in _TOLD_ELSEWHERE:
        return Ignored(bounded_id(str(raw.get("id", ""))), "", f"{kind}: the alarm's own state change says what counts")
    return Refused(f"detail-type: read {kind!r}, which is not understood", head(raw))


def alarm_from_cloudwatch(raw: dict[str, Json], routes: Routes = NO_ROUTES) -> Item:
    """One item per event. Raises nothing: what can't be read is refused."""
    detail = obj(raw.get("detail"))
    state, before = obj(detail.get("state")), obj(detail.get("previousState"))
    name = detail.get("alarmName")
    if not isinstance(name, str):
        return Refused("detail.alarmName: is missing; send the event as EventBridge delivers it", head(raw))
    metrics = _metrics_of(detail)
    data = obj(_parsed(state.get("reasonData")))
    found = Transition(
        name=name,
        arn=_first_text(raw.get("resources")),
        value=str(state.get("value")),
        at=state.get("timestamp") or raw.get("time"),
        reason=str(state.get("reason", "")),
        data=data,
        before=str(before.get("value")),
        before_at=before.get("timestamp"),
        tags=obj(detail.get("alarmTags")),
        namespaces=" ".join(str(metric.get("namespace", "")) for metric in metrics),
        dimension=dimension_in(obj(metric.get("dimensions")) for metric in metrics),
        triggering=_triggering(data),
    )
    return item_of(found, routes, head(raw))


def item_of(found: Transition, routes: Routes, shown: str) -> Item:
    """ALARM is an alarm, OK the end of what was said before; too little data is one where the fleet file says so."""
    endpoint = routes.endpoint_of(tags=found.tags, dimension=found.dimension, names=(found.name, *found.triggering))
    identity = bounded_id(f"{found.arn or found.name}@{found.at}")
    if found.value == "OK":
        return _end(found, endpoint, identity)
    missing = found.value == "INSUFFICIENT_DATA"
    if found.value != "ALARM" and not (missing and endpoint in routes.missing_data):
        told = "only ALARM and OK are acted upon" + ("; `intake.missing_data: alarm` changes that" if missing else "")
        return Ignored(identity, str(endpoint or "")[:63], f"state {found.value[:40]}: {told}")
    kind = AlarmKind.INFRASTRUCTURE if missing else _kind(found.namespaces)
    translated = {
        "id": identity,
        "endpoint": endpoint,
        "kind": _tag(found.tags, _TAG_KIND) or kind.value,
        "as_of": found.at,
        "severity": severity_of(_tag(found.tags, _TAG_SEVERITY)).value,
        "source": _SOURCE,
        "message": f"{found.name}: {found.reason}"[:MAX_MESSAGE],
        "metrics": _readings(found.name, found.data),
        "labels": bounded_labels({**found.tags, **({"triggered_by": ", ".join(found.triggering)} if found.triggering else {})}),
        "detector": bounded_id(found.arn) or None,
        "changed_at": found.at if found.arn else None,
    }
    item = alarm_from({key: value for key, value in translated.items() if value is not None}, names=_NAMES)
    return Refused(item.reason, shown) if isinstance(item, Refused) else item


def _end(found: Transition, endpoint: str | None, identity: str) -> Item:
    """Under the id that the alarm had, where the transition tells it; an ARN is enough to know what has ended."""
    if endpoint is None:
        return Ignored(identity, "", "state OK of an alarm that is no endpoint's: nothing is to be ended")
    raised = found.before == "ALARM" and found.before_at
    if not (raised or found.arn):
        return Ignored(identity, endpoint[:63], "state OK, and nothing tells which alarm has ended")
    ended = {
        "id": bounded_id(f"{found.arn or found.name}@{found.before_at}") if raised else identity,
        "endpoint": endpoint,
        "source": _SOURCE,
        "detector": bounded_id(found.arn) or None,
        "changed_at": found.at if found.arn else None,
    }
    return ended_from({key: value for key, value in ended.items() if value is not None}, names=_NAMES)


def obj(value: Json) -> dict[str, Json]:
    """The object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def dimension_in(all_dimensions: Json) -> Json:
    """The endpoint that a metric's dimensions name."""
    for dimensions in all_dimensions:
        found = dimensions.get("EndpointName") or dimensions.get("Endpoint")
        if found:
            return found
    return None


def _tag(tags: Mapping[str, Json], names: tuple[str, ...]) -> Json:
    return next((tags[name] for name in names if tags.get(name)), None)


def _first_text(value: Json) -> str:
    first = value[0] if isinstance(value, list) and value else ""
    return first if isinstance(first, str) else ""


def _parsed(text: Json) -> Json:
    """`reasonData` is JSON inside a text, and optional."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def _metrics_of(detail: dict[str, Json]) -> list[dict[str, Json]]:
    """`metricStat.metric` of each entry; entries that are math expressions have none."""
    listed = obj(detail.get("configuration")).get("metrics")
    entries = listed if isinstance(listed, list) else []
    return [obj(obj(obj(entry).get("metricStat")).get("metric")) for entry in entries]


def _triggering(data: Mapping[str, Json]) -> tuple[str, ...]:
    listed = data.get("triggeringAlarms")
    arns = [obj(entry).get("arn") for entry in listed] if isinstance(listed, list) else []
    return tuple(arn.rpartition(":alarm:")[2] for arn in arns[:20] if isinstance(arn, str))


def _kind(namespaces: str) -> AlarmKind:
    return next((kind for part, kind in _KINDS.items() if part in namespaces), AlarmKind.INFRASTRUCTURE)


def _readings(name: str, data: Mapping[str, Json]) -> list[Json]:
    """The newest value with what it crossed: a threshold, or the edge of an anomaly band."""
    value = _last_number(data.get("recentDatapoints"))
    threshold = data.get("threshold") if _is_number(data.get("threshold")) else _edge(value, data)
    found = {"value": value, "threshold": threshold}
    known = {key: number for key, number in found.items() if number is not None}
    return [{"name": name[:200], **known}] if known else []


def _edge(value: float | None, data: Mapping[str, Json]) -> float | None:
    lower, upper = _last_number(data.get("recentLowerThresholds")), _last_number(data.get("recentUpperThresholds"))
    if value is not None and lower is not None and value < lower:
        return lower
    return upper


def _last_number(values: Json) -> float | None:
    last = values[-1] if isinstance(values, list) and values else None
    return last if _is_number(last) else None


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf
