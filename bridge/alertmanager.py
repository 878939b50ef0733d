"""Alertmanager's webhook, version 4: several alerts in one body.

An alert's `endpoint` label names the endpoint, `kind` (our kinds; model_quality unless it says otherwise) what it is about,
`severity` how bad it is. `startsAt` is the time of the data. A resolved alert clears the
alarm that it was.
"""

import math
from typing import Final

from bridge.items import BodyError, Item, Refused
from bridge.own import MAX_MESSAGE, alarm_from, bounded_id, bounded_labels, ended_from
from bridge.reading import Json, head
from contracts.alarm import AlarmKind, Severity

_SEVERITIES: Final = {
    Severity.CRITICAL: ("critical", "page", "emergency", "fatal"),
    Severity.HIGH: ("high", "error", "major"),
    Severity.MEDIUM: ("medium", "warning", "warn", "minor"),
    Severity.LOW: ("low", "info", "informational", "none", "notice"),
}
_NAMES: Final = {
    "endpoint": "labels.endpoint",
    "kind": "labels.kind",
    "as_of": "startsAt",
    "id": "fingerprint",
    "metrics": "annotations.value",
}


def is_alertmanager(raw: Json) -> bool:
    return isinstance(raw, dict) and "alerts" in raw


def alarms_from(raw: dict[str, Json]) -> list[Item]:
    """One item per alert.

    Raises:
        BodyError: another version, or `alerts` is no list.
    """
    if raw.get("version", "4") != "4":
        raise BodyError(400, f"version: read {head(raw['version'])[:50]}; only Alertmanager's webhook version 4 is understood")
    if not isinstance(raw["alerts"], list):
        raise BodyError(400, "alerts: should be a list, as Alertmanager sends it")
    return [_item(alert) for alert in raw["alerts"]]


def severity_of(text: Json) -> Severity:
    """Ours for theirs; medium for what nobody knows."""
    word = text.lower() if isinstance(text, str) else ""
    return next((ours for ours, theirs in _SEVERITIES.items() if word in theirs), Severity.MEDIUM)


def _item(alert: Json) -> Item:
    if not isinstance(alert, dict) or not isinstance(alert.get("labels"), dict):
        return Refused("an alert is an object with `labels`, among them `endpoint`", head(alert))
    labels = alert["labels"]
    if alert.get("status") == "resolved":
        return ended_from({"id": _id(alert), "endpoint": labels.get("endpoint"), "source": "alertmanager"}, names=_NAMES)
    return alarm_from(_translated(alert, labels), names=_NAMES)


def _translated(alert: dict[str, Json], labels: dict[str, Json]) -> dict[str, Json]:
    annotations = alert.get("annotations")
    notes = annotations if isinstance(annotations, dict) else {}
    translated = {
        "id": _id(alert),
        "endpoint": labels.get("endpoint"),
        "kind": labels.get("kind", AlarmKind.MODEL_QUALITY.value),
        "as_of": alert.get("startsAt"),
        "severity": severity_of(labels.get("severity")).value,
        "source": "alertmanager",
        "message": _message(labels, notes),
        "metrics": _metrics(labels, notes),
        "anomaly_start": alert.get("startsAt"),
        "labels": bounded_labels(labels),
    }
    return {name: value for name, value in translated.items() if value is not None}


def _id(alert: dict[str, Json]) -> str:
    """Fingerprint and start: the same alert sent again is the same alarm, the next firing is another."""
    print_ = alert.get("fingerprint") or head(alert.get("labels"))
    return bounded_id(f"{print_}@{alert.get('startsAt', '')}")


def _message(labels: dict[str, Json], notes: dict[str, Json]) -> str:
    parts = (labels.get("alertname"), notes.get("summary"), notes.get("description"))
    return ": ".join(part for part in parts if isinstance(part, str) and part)[:MAX_MESSAGE]


def _metrics(labels: dict[str, Json], notes: dict[str, Json]) -> list[Json]:
    """Alertmanager carries no value; rules that want it seen write it into annotations `value` and `threshold`."""
    value, threshold = _number(notes.get("value")), _number(notes.get("threshold"))
    if value is None and threshold is None:
        return []
    return [{"name": str(labels.get("metric") or labels.get("alertname", ""))[:200], "value": value, "threshold": threshold}]


def _number(text: Json) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None
