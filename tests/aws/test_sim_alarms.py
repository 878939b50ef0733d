"""CloudWatch's alarms and EventBridge in the simulated account, each behaviour with its source.

UG: Amazon CloudWatch User Guide. AR: Amazon CloudWatch API Reference. EB: Amazon EventBridge User Guide.
"""

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from platforms.aws.calls import Aws
from platforms.errors import Invalid, NotFound, Unavailable
from tests.aws.simulator import Simulator

Receive = Callable[[str], dict[str, Any]]
DIMENSIONS = [{"Name": "EndpointName", "Value": "bikes"}]


class Alarmed:
    """Alarms of one test, and the queue to which EventBridge brings their changes."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.name = aws.settings.prefix
        self.queue = aws.call("sqs", "create_queue", QueueName=f"{self.name}-alarms")["QueueUrl"]
        self.arn = f"arn:aws:sqs:{aws.region}:123456789012:{self.name}-alarms"

    def allow(self, **condition: Any) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": self.arn,
            **condition,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.aws.call("sqs", "set_queue_attributes", QueueUrl=self.queue, Attributes={"Policy": policy})

    def rule(self, **pattern: Any) -> None:
        whole = {"source": ["aws.cloudwatch"], "detail": {"alarmName": [{"prefix": self.name}]}, **pattern}
        self.aws.call("events", "put_rule", Name=self.name, EventPattern=json.dumps(whole))
        self.aws.call("events", "put_targets", Rule=self.name, Targets=[{"Id": "1", "Arn": self.arn}])

    def put(self, what: str, **changes: Any) -> str:
        name = f"{self.name}-{what}"
        given = {
            "Namespace": self.name,
            "MetricName": "drift",
            "Dimensions": DIMENSIONS,
            "Statistic": "Average",
            "Period": 300,
            "EvaluationPeriods": 1,
            "Threshold": 0.2,
            "ComparisonOperator": "GreaterThanThreshold",
        }
        if "Metrics" in changes:
            for field in ("Namespace", "MetricName", "Dimensions", "Statistic", "Period"):
                given.pop(field)
        given = {key: value for key, value in (given | changes).items() if value is not None}
        self.aws.call("cloudwatch", "put_metric_alarm", AlarmName=name, **given)
        return name

    def data(self, value: float, metric: str = "drift", **when: Any) -> None:
        datum = {"MetricName": metric, "Dimensions": DIMENSIONS, "Value": value, **when}
        self.aws.call("cloudwatch", "put_metric_data", Namespace=self.name, MetricData=[datum])

    def state(self, name: str) -> str:
        found = self.aws.call("cloudwatch", "describe_alarms", AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        return str((found["MetricAlarms"] + found["CompositeAlarms"])[0]["StateValue"])

    def until(self, name: str, state: str) -> None:
        began = time.monotonic()
        while (found := self.state(name)) != state:
            assert time.monotonic() - began < 20, f"{name} is {found}"
            time.sleep(0.05)

    def event(self, wanted: str = "CloudWatch Alarm State Change", value: str | None = "ALARM") -> dict[str, Any]:
        began = time.monotonic()
        while time.monotonic() - began < 20:
            for message in self.aws.call("sqs", "receive_message", QueueUrl=self.queue, WaitTimeSeconds=1).get("Messages", ()):
                found: dict[str, Any] = json.loads(message["Body"])
                if found["detail-type"] == wanted and value in (None, found["detail"].get("state", {}).get("value")):
                    return found
        raise AssertionError(f"no {wanted} came")


def now(simulator: Simulator) -> datetime:
    return datetime.fromisoformat(simulator._ask("clock", {})["now"])


@pytest.fixture
def alarmed(aws: Aws) -> Alarmed:
    made = Alarmed(aws)
    made.allow()
    made.rule()
    return made


def test_a_metric_alarm_goes_through_its_states_and_each_change_comes_as_an_event(alarmed: Alarmed) -> None:
    """UG "Alarm events and EventBridge": the event's shape. UG "Using Amazon CloudWatch alarms": a new one has too little data."""
    name = alarmed.put("drift", Tags=[{"Key": "homeostat:endpoint", "Value": "bikes"}])
    assert alarmed.state(name) == "INSUFFICIENT_DATA"
    alarmed.data(0.9)
    event = alarmed.event()
    assert event["source"] == "aws.cloudwatch"
    assert event["resources"] == [f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}"]
    detail = event["detail"]
    assert detail["alarmTags"] == {"homeostat:endpoint": "bikes"}
    assert detail["previousState"]["value"] == "INSUFFICIENT_DATA"
    assert detail["state"]["timestamp"].endswith("+0000")
    assert json.loads(detail["state"]["reasonData"])["recentDatapoints"] == [0.9]
    metric = detail["configuration"]["metrics"][0]["metricStat"]["metric"]
    assert metric == {"namespace": alarmed.name, "name": "drift", "dimensions": {"EndpointName": "bikes"}}


def test_data_that_stops_is_insufficient_unless_declared_otherwise(alarmed: Alarmed, simulator: Simulator) -> None:
    """UG "Configuring how CloudWatch alarms treat missing data"."""
    declared = {treat: alarmed.put(treat, TreatMissingData=treat) for treat in ("missing", "breaching", "notBreaching", "ignore")}
    alarmed.data(0.1)
    for name in declared.values():
        alarmed.until(name, "OK")
    simulator.advance(1500)
    alarmed.until(declared["missing"], "INSUFFICIENT_DATA")
    alarmed.until(declared["breaching"], "ALARM")
    assert [alarmed.state(declared[treat]) for treat in ("notBreaching", "ignore")] == ["OK", "OK"]


def test_metric_math_is_computed(alarmed: Alarmed, simulator: Simulator) -> None:
    """UG "Create a CloudWatch alarm based on a metric math expression"."""
    metrics = [
        {"Id": "e1", "Expression": "errors / calls * 100", "ReturnData": True},
        *({"Id": n, "MetricStat": stat(alarmed.name, n), "ReturnData": False} for n in ("errors", "calls")),
    ]
    name = alarmed.put("math", Metrics=metrics, Threshold=5.0)
    both_at = now(simulator)
    alarmed.data(2.0, "errors", Timestamp=both_at)
    alarmed.data(100.0, "calls", Timestamp=both_at)
    alarmed.until(name, "OK")
    both_at = now(simulator)
    alarmed.data(98.0, "errors", Timestamp=both_at)
    alarmed.data(100.0, "calls", Timestamp=both_at)
    event = alarmed.event()
    assert event["detail"]["configuration"]["metrics"][0]["expression"] == "errors / calls * 100"


def test_what_is_not_computed_is_refused_when_the_alarm_is_put(alarmed: Alarmed) -> None:
    metrics = [
        {"Id": "e1", "Expression": "SEARCH('x', 'Sum', 60)"},
        {"Id": "m1", "MetricStat": stat(alarmed.name, "a"), "ReturnData": False},
    ]
    with pytest.raises(Unavailable, match="NotSimulated"):
        alarmed.put("math", Metrics=metrics)


def stat(namespace: str, metric: str) -> dict[str, Any]:
    return {"Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": DIMENSIONS}, "Period": 300, "Stat": "Average"}


def test_an_anomaly_band_is_learnt_from_the_past(alarmed: Alarmed, simulator: Simulator) -> None:
    """UG "Using CloudWatch anomaly detection": up to two weeks of data make the band, and too few make none."""
    metrics = [
        {"Id": "m1", "MetricStat": stat(alarmed.name, "load"), "ReturnData": True},
        {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)", "ReturnData": True},
    ]
    over = {"ThresholdMetricId": "ad1", "ComparisonOperator": "LessThanLowerOrGreaterThanUpperThreshold", "Threshold": None}
    name = alarmed.put("band", Metrics=metrics, **over)
    present = now(simulator)
    alarmed.data(9.0, "load")
    time.sleep(1.0)
    assert alarmed.state(name) == "INSUFFICIENT_DATA"
    for n in range(30):
        alarmed.data(10.0 + n % 3, "load", Timestamp=present - timedelta(minutes=20 + 5 * n))
    alarmed.data(50.0, "load")
    data = json.loads(alarmed.event()["detail"]["state"]["reasonData"])
    assert data["recentUpperThresholds"][-1] < data["recentDatapoints"][-1]
    assert "threshold" not in data


def test_a_composite_alarm_follows_its_rule_and_names_what_triggered_it(alarmed: Alarmed) -> None:
    """UG "Create a composite alarm"; AR PutCompositeAlarm "AlarmRule"; AR DescribeAlarms "AlarmTypes"."""
    one, two = alarmed.put("one"), alarmed.put("two", MetricName="load")
    name = f"{alarmed.name}-both"
    rule = f'ALARM("{one}") AND NOT (OK({two}) OR INSUFFICIENT_DATA({two}))'
    alarmed.aws.call("cloudwatch", "put_composite_alarm", AlarmName=name, AlarmRule=rule)
    assert not alarmed.aws.call("cloudwatch", "describe_alarms", AlarmNames=[name])["MetricAlarms"]
    alarmed.data(0.9)
    alarmed.until(one, "ALARM")
    alarmed.until(name, "OK")
    alarmed.data(0.9, "load")
    alarmed.until(name, "ALARM")
    while (event := alarmed.event())["detail"]["alarmName"] != name:
        pass
    assert "metrics" not in event["detail"]["configuration"]
    triggering = json.loads(event["detail"]["state"]["reasonData"])["triggeringAlarms"]
    assert {each["arn"].rpartition(":")[2] for each in triggering} == {one, two}
    with pytest.raises(Invalid, match="parsing rule"):
        alarmed.aws.call("cloudwatch", "put_composite_alarm", AlarmName=name, AlarmRule="ALARM(x) AND")


def test_a_state_that_was_set_lasts_until_the_next_look(alarmed: Alarmed) -> None:
    """AR SetAlarmState: temporarily, "the alarm returns to its actual state quickly, often within seconds"."""
    name = alarmed.put("set")
    alarmed.aws.call("cloudwatch", "set_alarm_state", AlarmName=name, StateValue="ALARM", StateReason="test")
    assert alarmed.state(name) == "ALARM"
    assert alarmed.event()["detail"]["state"]["reason"] == "test"
    alarmed.until(name, "INSUFFICIENT_DATA")
    with pytest.raises(NotFound):
        alarmed.aws.call("cloudwatch", "set_alarm_state", AlarmName="none", StateValue="OK", StateReason="test")


def test_an_action_publishes_the_older_text_to_its_topic(alarmed: Alarmed) -> None:
    """UG "Notifying users on alarm changes": `Trigger.Dimensions` have small letters."""
    sns, aws = f"{alarmed.name}-topic", alarmed.aws
    topic = aws.call("sns", "create_topic", Name=sns)["TopicArn"]
    queue = aws.call("sqs", "create_queue", QueueName=sns)["QueueUrl"]
    aws.call("sns", "subscribe", TopicArn=topic, Protocol="sqs", Endpoint=alarmed.arn.replace("-alarms", "-topic"))
    alarmed.put("told", AlarmActions=[topic])
    alarmed.data(0.9)
    messages: list[Any] = []
    while not messages:
        messages = aws.call("sqs", "receive_message", QueueUrl=queue, WaitTimeSeconds=5).get("Messages", [])
    text = json.loads(json.loads(messages[0]["Body"])["Message"])
    assert (text["NewStateValue"], text["OldStateValue"]) == ("ALARM", "INSUFFICIENT_DATA")
    assert text["Trigger"]["Dimensions"] == [{"value": "bikes", "name": "EndpointName"}]


@pytest.mark.parametrize("case", ["no policy", "another rule's policy", "the key of AWS"])
def test_eventbridge_brings_nothing_to_a_queue_that_does_not_allow_it(aws: Aws, case: str) -> None:
    """EB "Using resource-based policies", EB "Troubleshooting Amazon EventBridge" (encrypted queues)."""
    alarmed = Alarmed(aws)
    alarmed.rule()
    if case != "no policy":
        other = {"ArnEquals": {"aws:SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/other"}}
        alarmed.allow(**({"Condition": other} if case == "another rule's policy" else {}))
    if case == "the key of AWS":
        aws.call("sqs", "set_queue_attributes", QueueUrl=alarmed.queue, Attributes={"KmsMasterKeyId": "alias/aws/sqs"})
    name = alarmed.put("drift")
    alarmed.data(0.9)
    alarmed.until(name, "ALARM")
    time.sleep(0.3)
    assert "Messages" not in aws.call("sqs", "receive_message", QueueUrl=alarmed.queue)


def test_a_pattern_looks_into_arrays_of_objects(aws: Aws) -> None:
    """EB "Event patterns": an array matches where one of its members does."""
    alarmed = Alarmed(aws)
    alarmed.allow()
    alarmed.rule(detail={"configuration": {"metrics": {"metricStat": {"metric": {"namespace": [alarmed.name]}}}}})
    alarmed.put("drift")
    alarmed.data(0.9)
    assert alarmed.event()["detail"]["alarmName"] == f"{alarmed.name}-drift"
