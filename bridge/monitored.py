"""A monitoring job that has ended, as an alarm: what it found has to be fetched first."""

import re
from typing import Final

from bridge.items import Ignored, Item, Monitored
from bridge.own import MAX_MESSAGE, alarm_from
from bridge.reading import Json
from bridge.routing import Routes
from contracts.alarm import AlarmKind
from platforms.errors import NotFound
from platforms.letters import MonitorReport, MonitorReports, Violation

_MOST_READINGS: Final = 50
_NUMBER: Final = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_VALUE: Final = re.compile(rf"(?:with|distance:|value:?) ({_NUMBER})")
_THRESHOLD: Final = re.compile(rf"(?:threshold:?|Threshold) '?({_NUMBER})'?")
_NAMES: Final = {"endpoint": "the monitoring job's endpoint, or `intake.alarms` with its schedule's name"}


def read_report(reports: MonitorReports | None, monitored: Monitored, routes: Routes) -> Item:
    """Fetches, so it runs in a thread. Raises: Unavailable, Invalid, NotFound (it tells of violations that aren't there)."""
    if reports is None:
        return Ignored(monitored.id, "", "a processing job has ended; only the bridge's queue looks at what it found")
    try:
        report = reports.report(monitored.job)
    except NotFound as error:
        if "no monitoring job" in str(error):
            return Ignored(monitored.id, "", f"processing job {monitored.job[:63]}: its own step looks after it")
        raise
    if not report.violations:
        return Ignored(monitored.id, "", f"monitoring job {monitored.job[:63]}: {report.exit_message or 'found nothing'}"[:300])
    return _alarm(monitored, report, routes)


def _alarm(monitored: Monitored, report: MonitorReport, routes: Routes) -> Item:
    endpoint = routes.endpoint_of(tags={}, dimension=report.endpoint, names=(report.schedule, monitored.job))
    found = "; ".join(f"{v.feature}: {v.check}: {v.description}" for v in report.violations)
    translated = {
        "id": monitored.id,
        "endpoint": endpoint,
        "kind": _kind(report).value,
        "as_of": report.ended_at.isoformat(),
        "source": f"model-monitor:{report.schedule}"[:200],
        "message": f"{report.exit_message} {found}".strip()[:MAX_MESSAGE],
        "metrics": [_reading(violation) for violation in report.violations[:_MOST_READINGS]],
    }
    return alarm_from({key: value for key, value in translated.items() if value is not None}, names=_NAMES)


def _kind(report: MonitorReport) -> AlarmKind:
    """What was monitored, if it is said; else what the checks are about."""
    told = f"{report.kind} {report.schedule} {' '.join(v.check for v in report.violations)}".lower()
    if "bias" in told or any("=" in v.feature for v in report.violations):
        return AlarmKind.BIAS
    thresholds = ("lessthanthreshold", "greaterthanthreshold", "modelquality", "model_quality")
    return AlarmKind.MODEL_QUALITY if any(word in told for word in thresholds) else AlarmKind.DATA_DRIFT


def _reading(violation: Violation) -> dict[str, Json]:
    """The numbers stand in a sentence; where they don't, or where one is NaN, there is none."""
    value, threshold = _VALUE.search(violation.description), _THRESHOLD.search(violation.description)
    found = {"value": value and float(value[1]), "threshold": threshold and float(threshold[1])}
    return {"name": violation.feature, **{name: number for name, number in found.items() if number is not None}}
