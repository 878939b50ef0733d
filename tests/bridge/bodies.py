"""Bodies as senders write them, and what the bridge kept of the bad ones."""

import json
from typing import Any

from runtime.settings import Settings

STAMP = "2012-03-04T05:00:00Z"


def own(endpoint: str, **more: Any) -> dict[str, Any]:
    return {"id": "a-1", "endpoint": endpoint, "kind": "model_quality", "as_of": STAMP, **more}


def alert(endpoint: str, **more: Any) -> dict[str, Any]:
    labels = {"alertname": "RecallLow", "endpoint": endpoint, "severity": "page", **more.pop("labels", {})}
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "recall fell", "value": "0.61", "threshold": "0.7"},
        "startsAt": "2012-03-04T06:00:00.123+01:00",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "c0ffee",
        **more,
    }


def webhook(*alerts: Any, **more: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": "{}",
        "status": "firing",
        "receiver": "homeostat",
        "truncatedAlerts": 0,
        "alerts": list(alerts),
        **more,
    }


def cloudwatch(endpoint: str | None, state: str = "ALARM", **detail: Any) -> dict[str, Any]:
    dimensions = {"EndpointName": endpoint} if endpoint else {}
    metric = {"namespace": "aws/sagemaker/Endpoints/data-metrics", "name": "feature_drift", "dimensions": dimensions}
    return {
        "version": "0",
        "id": "c4c1c1c9",
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "time": "2012-03-04T05:00:05Z",
        "detail": {
            "alarmName": "drift",
            "configuration": {"metrics": [{"id": "e1", "expression": "m1*2"}, {"id": "m1", "metricStat": {"metric": metric}}]},
            "state": {
                "value": state,
                "reason": "Threshold Crossed",
                "reasonData": json.dumps({"threshold": 0.2, "recentDatapoints": [0.1, 0.4]}),
                "timestamp": "2012-03-04T05:00:00.985+0000",
            },
            **detail,
        },
    }


def event(data: Any, **more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "e-1", "source": "/detector", "type": "drift", "time": STAMP, "data": data, **more}


def rejected(settings: Settings) -> list[dict[str, Any]]:
    path = settings.home / "bridge" / "rejected.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
