"""SageMaker's own events. Most tell of our own doings, which their step looks after; some are alarms.

Statuses are written `IN_SERVICE` in events and `InService` in the API, and one change may come as several events.
"""

from dataclasses import replace
from typing import Final

from bridge.cloudwatch import obj
from bridge.items import Ignored, Item, Monitored, Refused, Understood
from bridge.own import alarm_from, bounded_id
from bridge.reading import Json, head
from bridge.routing import TAGS, Routes
from contracts.alarm import AlarmKind, Severity

_ENDPOINT: Final = "SageMaker Endpoint State Change"
_PROCESSING: Final = "SageMaker Processing Job State Change"
_BROKEN: Final = frozenset({"failed", "updaterollbackfailed"})
_FOLLOWED: Final = {
    "SageMaker Training Job State Change": "TrainingJobStatus",
    "SageMaker Transform Job State Change": "TransformJobStatus",
    "SageMaker HyperParameter Tuning Job State Change": "HyperParameterTuningJobStatus",
    "SageMaker Endpoint Deployment State Change": "EndpointStatus",
    "SageMaker Endpoint Config State Change": "",
    "SageMaker Model State Change": "",
    "SageMaker Model Package State Change": "ModelApprovalStatus",
    "SageMaker Model Card State Change": "ModelCardStatus",
    "SageMaker Monitoring Schedule State Change": "MonitoringScheduleStatus",
    "SageMaker Feature Group State Change": "FeatureGroupStatus",
    _PROCESSING: "ProcessingJobStatus",
    _ENDPOINT: "EndpointStatus",
}


def is_sagemaker(raw: Json) -> bool:
    return isinstance(raw, dict) and str(raw.get("detail-type", "")).startswith("SageMaker ")


def item_from_sagemaker(raw: dict[str, Json], routes: Routes) -> Item:
    """One item per event."""
    kind, detail = str(raw["detail-type"]), obj(raw.get("detail"))
    if kind not in _FOLLOWED:
        return Refused(f"detail-type: read {kind[:80]!r}, which is not understood", head(raw))
    status = str(detail.get(_FOLLOWED[kind], ""))
    plain = status.replace("_", "").lower()
    if kind == _ENDPOINT and plain in _BROKEN:
        return _broken_endpoint(raw, detail, plain, routes)
    job = detail.get("ProcessingJobName")
    if kind == _PROCESSING and plain == "completed" and isinstance(job, str):
        return Monitored(bounded_id(f"{_arn(raw)}@{plain}"), job)
    what = f"{kind.removeprefix('SageMaker ').removesuffix(' State Change').lower()} {status}".strip()
    return Ignored(bounded_id(str(raw.get("id", ""))), "", f"{what[:100]}: its own step looks after it")


def _broken_endpoint(raw: dict[str, Json], detail: dict[str, Json], status: str, routes: Routes) -> Item:
    """Known by the change and not by the event, since one change may be told twice."""
    name, tags = detail.get("EndpointName"), obj(detail.get("Tags"))
    tagged = next((tags[tag] for tag in TAGS if isinstance(tags.get(tag), str)), None)
    endpoint = tagged or (routes.ours(name) if isinstance(name, str) else None)
    reason = detail.get("FailureReason") or "AWS gives no reason"
    changed = detail.get("LastModifiedTime") or raw.get("time")
    translated = {
        "id": bounded_id(f"{_arn(raw)}@{status}@{changed}"),
        "endpoint": endpoint,
        "kind": AlarmKind.INFRASTRUCTURE.value,
        "as_of": raw.get("time"),
        "severity": Severity.HIGH.value,
        "source": "aws.sagemaker",
        "message": f"endpoint {name} is {status}: {reason}"[:4000],
    }
    names = {"endpoint": "detail.EndpointName", "as_of": "time"}
    item = alarm_from({key: value for key, value in translated.items() if value is not None}, names=names)
    return replace(item, account_wide=tagged is None) if isinstance(item, Understood) else item


def _arn(raw: dict[str, Json]) -> str:
    resources = raw.get("resources")
    return str(resources[0]) if isinstance(resources, list) and resources else str(raw.get("id", ""))
