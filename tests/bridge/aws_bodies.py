"""Events as AWS sends them, after the examples in its documentation."""

import json
from typing import Any

ARN = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:"
RAISED = "2012-03-04T05:00:00.985+0000"
LATER = "2012-03-04T06:00:00.985+0000"


def metric(endpoint: str | None = "bikes", namespace: str = "aws/sagemaker/Endpoints/data-metrics") -> dict[str, Any]:
    dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic"} if endpoint else {}
    stat = {
        "metric": {"namespace": namespace, "name": "feature_drift", "dimensions": dimensions},
        "period": 300,
        "stat": "Average",
    }
    return {"id": "m1", "metricStat": stat, "returnData": True}


def alarm_event(name: str = "drift", value: str = "ALARM", at: str = RAISED, **detail: Any) -> dict[str, Any]:
    """'CloudWatch Alarm State Change'."""
    data = detail.pop("data", {"threshold": 0.2, "recentDatapoints": [0.1, 0.4]})
    before = detail.pop("before", {"value": "OK", "timestamp": "2012-03-04T04:00:00.985+0000"})
    return {
        "version": "0",
        "id": "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92",
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": "123456789012",
        "time": "2012-03-04T05:00:05Z",
        "region": "eu-west-1",
        "resources": [f"{ARN}{name}"],
        "detail": {
            "alarmName": name,
            "configuration": {"metrics": [metric()]},
            "previousState": before,
            "state": {"value": value, "reason": "Threshold Crossed", "reasonData": json.dumps(data), "timestamp": at},
            **detail,
        },
    }


def ok_event(name: str = "drift", at: str = LATER, before_at: str = RAISED, **detail: Any) -> dict[str, Any]:
    return alarm_event(name, "OK", at, before={"value": "ALARM", "timestamp": before_at}, **detail)


def composite_event(**detail: Any) -> dict[str, Any]:
    triggering = {"triggeringAlarms": [{"arn": f"{ARN}prod-bikes-drift", "state": {"value": "ALARM", "timestamp": RAISED}}]}
    configuration = {"alarmRule": "ALARM(prod-bikes-drift) AND ALARM(prod-bikes-load)"}
    return alarm_event("any", configuration=configuration, data=triggering, **detail)


def through_sns(inner: Any) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms",
        "Subject": 'ALARM: "drift" in EU (Ireland)',
        "Message": json.dumps(inner),
        "Timestamp": "2012-03-04T05:00:05.000Z",
    }


def alarm_text(value: str = "ALARM", before: str = "OK", at: str = RAISED, **trigger: Any) -> dict[str, Any]:
    """What an alarm action publishes to a topic."""
    return {
        "AlarmName": "drift",
        "AlarmDescription": None,
        "AWSAccountId": "123456789012",
        "NewStateValue": value,
        "NewStateReason": "Threshold Crossed",
        "StateChangeTime": at,
        "Region": "EU (Ireland)",
        "AlarmArn": f"{ARN}drift",
        "OldStateValue": before,
        "Trigger": {
            "MetricName": "feature_drift",
            "Namespace": "aws/sagemaker/Endpoints/data-metrics",
            "Dimensions": [{"value": "AllTraffic", "name": "VariantName"}, {"value": "bikes", "name": "EndpointName"}],
            "Threshold": 0.2,
            **trigger,
        },
    }


def sagemaker_event(what: str, **detail: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "844e2571-85d4-695f-b930-0153b71dcb42",
        "detail-type": f"SageMaker {what} State Change",
        "source": "aws.sagemaker",
        "time": "2012-03-04T05:00:05Z",
        "resources": [f"arn:aws:sagemaker:eu-west-1:123456789012:{what.lower().replace(' ', '-')}/x"],
        "detail": detail,
    }
