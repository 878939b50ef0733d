"""What AWS's events say, and whose alarm each is."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.formats import JSON, items_from
from bridge.items import BodyError, Ended, Ignored, Item, Monitored, Refused, Understood
from bridge.monitored import read_report
from bridge.routing import FleetRoutes, Routes
from contracts.alarm import Alarm, AlarmKind, Severity
from platforms.letters import MonitorReport, Violation
from tests.bridge.aws_bodies import (
    ARN,
    LATER,
    RAISED,
    alarm_event,
    alarm_text,
    composite_event,
    metric,
    ok_event,
    sagemaker_event,
    through_sns,
)
from tests.bridge.queues import FakeReports

BY_NAME = Routes(patterns=(("prod-bikes-*", "bikes"), ("prod-*", "rest")))


def read(body: Any, routes: Routes = BY_NAME) -> Item:
    (item,) = items_from({"content-type": JSON}, json.dumps(body).encode(), routes)
    return item


def alarm(body: Any, routes: Routes = BY_NAME) -> Alarm:
    item = read(body, routes)
    assert isinstance(item, Understood), item
    return item.alarm


def test_a_metric_alarm_says_what_crossed_what_and_when() -> None:
    found = alarm(alarm_event())
    assert (found.id, found.detector) == (f"{ARN}drift@{RAISED}", f"{ARN}drift")
    assert (found.endpoint, found.kind) == ("bikes", AlarmKind.DATA_DRIFT)
    assert found.as_of == found.changed_at == datetime(2012, 3, 4, 5, 0, 0, 985000, tzinfo=UTC)
    assert [(m.name, m.value, m.threshold) for m in found.metrics] == [("drift", 0.4, 0.2)]


def test_a_math_alarm_finds_the_dimension_among_its_expressions() -> None:
    metrics = [{"id": "e1", "expression": "m1 / m2", "returnData": True}, metric("trees", "AWS/SageMaker")]
    found = alarm(alarm_event(configuration={"metrics": metrics}))
    assert (found.endpoint, found.kind) == ("trees", AlarmKind.INFRASTRUCTURE)


@pytest.mark.parametrize(("value", "edge"), [(0.9, 0.5), (0.05, 0.1)])
def test_an_anomaly_alarm_names_the_edge_of_the_band_that_was_left(value: float, edge: float) -> None:
    data = {"recentDatapoints": [value], "recentLowerThresholds": [0.1], "recentUpperThresholds": [0.5]}
    metrics = [metric(), {"id": "ad1", "expression": "ANOMALY_DETECTION_BAND(m1, 2)"}]
    (reading,) = alarm(alarm_event(data=data, configuration={"metrics": metrics})).metrics
    assert (reading.value, reading.threshold) == (value, edge)


def test_a_composite_alarm_is_its_tags_or_else_that_of_the_alarms_that_triggered_it() -> None:
    tagged = alarm(composite_event(alarmTags={"homeostat:endpoint": "trees", "kind": "model_quality", "severity": "critical"}))
    assert (tagged.endpoint, tagged.kind, tagged.severity) == ("trees", AlarmKind.MODEL_QUALITY, Severity.CRITICAL)
    untagged = alarm(composite_event())
    assert (untagged.endpoint, untagged.labels["triggered_by"]) == ("bikes", "prod-bikes-drift")


def test_the_tag_comes_before_the_dimension_and_the_dimension_before_the_names() -> None:
    assert alarm(alarm_event("prod-x", alarmTags={"homeostat:endpoint": "tagged"})).endpoint == "tagged"
    assert alarm(alarm_event("prod-x")).endpoint == "bikes"
    nothing = {"metrics": [metric(None)]}
    assert alarm(alarm_event("prod-bikes-kpi", configuration=nothing)).endpoint == "bikes"
    assert alarm(alarm_event("prod-x", configuration=nothing)).endpoint == "rest"
    refused = read(alarm_event("cpu", configuration=nothing))
    assert isinstance(refused, Refused)
    assert refused.reason.startswith("the alarm's tag `homeostat:endpoint`, its dimension EndpointName, or `intake.alarms`")


def test_a_dimension_without_the_prefix_of_this_homeostat_is_none_of_ours() -> None:
    routes = Routes(prefix="live-")
    assert alarm(alarm_event(configuration={"metrics": [metric("live-bikes")]}), routes).endpoint == "bikes"
    assert isinstance(read(alarm_event(), routes), Refused)


def test_ok_ends_the_alarm_that_it_followed_and_all_that_came_before() -> None:
    item = read(ok_event())
    assert isinstance(item, Ended)
    assert (item.cleared.id, item.cleared.detector) == (f"{ARN}drift@{RAISED}", f"{ARN}drift")
    assert item.cleared.changed_at == datetime(2012, 3, 4, 6, 0, 0, 985000, tzinfo=UTC)
    after_silence = read(alarm_event(value="OK", at=LATER, before={"value": "INSUFFICIENT_DATA", "timestamp": RAISED}))
    assert isinstance(after_silence, Ended)
    assert after_silence.cleared.id != item.cleared.id
    assert isinstance(read(alarm_event("cpu", "OK", configuration={})), Ignored)


def test_too_little_data_is_ignored_unless_the_fleet_file_calls_it_an_alarm() -> None:
    item = read(alarm_event(value="INSUFFICIENT_DATA"))
    assert isinstance(item, Ignored)
    assert "`intake.missing_data: alarm` changes that" in item.reason
    found = alarm(alarm_event(value="INSUFFICIENT_DATA"), Routes(missing_data=frozenset({"bikes"})))
    assert found.kind is AlarmKind.INFRASTRUCTURE


def test_the_same_change_through_sns_is_the_same_alarm() -> None:
    direct = alarm(alarm_event())
    for wrapped in (through_sns(alarm_event()), through_sns(alarm_text()), alarm_text(), through_sns(through_sns(alarm_text()))):
        found = alarm(wrapped)
        assert (found.id, found.endpoint, found.kind, found.as_of) == (direct.id, direct.endpoint, direct.kind, direct.as_of)
    ended = read(through_sns(alarm_text("OK", "ALARM", LATER)))
    assert isinstance(ended, Ended)
    assert ended.cleared.changed_at is not None


def test_an_sns_alarm_of_an_expression_has_its_dimensions_one_level_deeper() -> None:
    stat = {
        "Metric": {"MetricName": "m", "Namespace": "AWS/SageMaker", "Dimensions": [{"name": "EndpointName", "value": "trees"}]}
    }
    metrics = [{"Expression": "m1*2", "Id": "e1"}, {"Id": "m1", "MetricStat": stat}]
    assert alarm(through_sns(alarm_text(Dimensions=[], Metrics=metrics))).endpoint == "trees"


def test_a_notification_without_json_is_said_so() -> None:
    with pytest.raises(BodyError, match="Message of an SNS notification: the body isn't JSON"):
        read({**through_sns({}), "Message": "hello"})


@pytest.mark.parametrize("status", ["FAILED", "Failed", "UPDATE_ROLLBACK_FAILED", "UpdateRollbackFailed"])
def test_a_broken_endpoint_is_an_alarm_in_either_spelling_and_once_however_often_it_is_told(status: str) -> None:
    body = sagemaker_event("Endpoint", EndpointName="bikes", EndpointStatus=status, LastModifiedTime=1583831889050)
    first, second = alarm(body), alarm({**body, "id": "another"})
    assert (first.endpoint, first.kind, first.id) == ("bikes", AlarmKind.INFRASTRUCTURE, second.id)


@pytest.mark.parametrize(
    ("what", "detail"),
    [
        ("Endpoint", {"EndpointName": "bikes", "EndpointStatus": "IN_SERVICE"}),
        ("Endpoint Deployment", {"EndpointName": "bikes", "DeploymentStatus": "FAILED"}),
        ("Training Job", {"TrainingJobName": "x", "TrainingJobStatus": "Completed"}),
        ("Transform Job", {"TransformJobStatus": "Failed"}),
        ("Model Package", {"ModelApprovalStatus": "Approved"}),
        ("Processing Job", {"ProcessingJobName": "x", "ProcessingJobStatus": "InProgress"}),
    ],
)
def test_what_sagemaker_tells_of_our_own_doings_is_acknowledged(what: str, detail: dict[str, str]) -> None:
    assert isinstance(read(sagemaker_event(what, **detail)), Ignored)


def test_what_nobody_understands_is_refused_and_what_is_told_elsewhere_is_not() -> None:
    other = {"detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "detail": {}}
    assert isinstance(read(other), Refused)
    assert isinstance(read({**other, "detail-type": "CloudWatch Alarm Configuration Change"}), Ignored)


VIOLATION = Violation("baseline_drift_check", "hour", "Baseline drift distance: 0.35 exceeds threshold: 0.1")


def a_report(**changes: Any) -> MonitorReport:
    given: dict[str, Any] = {
        "endpoint": "bikes",
        "schedule": "bikes-hourly",
        "kind": "",
        "exit_message": "CompletedWithViolations: Job completed successfully with 1 violations.",
        "ended_at": datetime(2012, 3, 4, 5, tzinfo=UTC),
        "violations": (VIOLATION,),
    }
    return MonitorReport(**(given | changes))


def monitored(report: MonitorReport | None) -> Item:
    item = read(sagemaker_event("Processing Job", ProcessingJobName="job", ProcessingJobStatus="Completed"))
    assert isinstance(item, Monitored)
    return read_report(FakeReports({"job": report} if report else {}), item, BY_NAME)


def test_violations_of_a_monitoring_job_become_an_alarm_with_their_numbers() -> None:
    item = monitored(a_report())
    assert isinstance(item, Understood)
    assert (item.alarm.endpoint, item.alarm.kind, item.alarm.source) == (
        "bikes",
        AlarmKind.DATA_DRIFT,
        "model-monitor:bikes-hourly",
    )
    assert [(m.name, m.value, m.threshold) for m in item.alarm.metrics] == [("hour", 0.35, 0.1)]


@pytest.mark.parametrize(
    ("violation", "kind"),
    [
        (Violation("LessThanThreshold", "recall", "Metric recall with NaN +/- NaN was LessThanThreshold '0.7'"), "model_quality"),
        (Violation("bias_drift_check", "DPL of age=30", "Metric value 0.4 doesn't meet"), "bias"),
    ],
)
def test_what_was_monitored_decides_the_kind_and_nan_is_no_number(violation: Violation, kind: str) -> None:
    item = monitored(a_report(violations=(violation,)))
    assert isinstance(item, Understood)
    assert item.alarm.kind.value == kind
    assert all(m.value is None or m.value == 0.4 for m in item.alarm.metrics)


def test_a_job_that_monitors_nothing_or_finds_nothing_is_acknowledged() -> None:
    assert isinstance(monitored(None), Ignored)
    assert isinstance(monitored(a_report(violations=(), exit_message="Completed")), Ignored)


def test_the_fleet_file_is_read_again_when_it_changes_and_a_mistake_in_it_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    endpoint = (
        "team: a, cost_center: b, data: {{table: t, features: [x], label: y}}, intake: {{alarms: ['{}'], missing_data: {}}}"
    )

    def write(pattern: str, missing: str = "alarm") -> None:
        file.write_text(f"version: 1\nendpoints:\n  bikes: {{{endpoint.format(pattern, missing)}}}\n")

    routes = FleetRoutes(file)
    assert routes.now() == Routes()
    write("a-*")
    assert routes.now() == Routes(patterns=(("a-*", "bikes"),), missing_data=frozenset({"bikes"}))
    write("longer-*", "ignore")
    assert routes.now() == Routes(patterns=(("longer-*", "bikes"),))
    write("broken", "sometimes")
    assert routes.now() == Routes(patterns=(("longer-*", "bikes"),))
