"""POST /alarms: each format becomes our alarm in the lifecycle's history."""

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx

from tests.bridge.bodies import STAMP, alert, cloudwatch, event, own, webhook

Listening = Callable[[int], Any]


async def test_our_own_alarm_reaches_the_lifecycle_as_it_was_sent(http: httpx.AsyncClient, listening: Listening) -> None:
    endpoint = await listening(1)
    body = own(endpoint.name, severity="high", metrics=[{"name": "recall", "value": 0.6, "threshold": 0.7}], labels={"week": "9"})
    answer = await http.post("/alarms", json=body)
    assert answer.status_code == 202
    assert answer.json() == {
        "results": [{"index": 0, "result": "accepted", "id": "a-1", "endpoint": endpoint.name, "reason": ""}]
    }
    (alarm,) = await endpoint.heard()
    assert {name: alarm[name] for name in ("id", "endpoint", "kind", "severity", "as_of", "labels")} == {
        "id": "a-1",
        "endpoint": endpoint.name,
        "kind": "model_quality",
        "severity": "high",
        "as_of": STAMP,
        "labels": {"week": "9"},
    }
    assert alarm["metrics"][0]["value"] == 0.6


async def test_a_list_of_alarms_is_forwarded_in_order(http: httpx.AsyncClient, listening: Listening) -> None:
    endpoint = await listening(3)
    answer = await http.post("/alarms", json=[own(endpoint.name, id=f"a-{n}") for n in range(3)])
    assert answer.status_code == 202
    assert [alarm["id"] for alarm in await endpoint.heard()] == ["a-0", "a-1", "a-2"]


async def test_alertmanager_firing_alerts_are_forwarded(http: httpx.AsyncClient, listening: Listening) -> None:
    endpoint = await listening(1)
    answer = await http.post("/alarms", json=webhook(alert(endpoint.name)))
    assert (answer.status_code, [one["result"] for one in answer.json()["results"]]) == (202, ["accepted"])
    (alarm,) = await endpoint.heard()
    assert alarm["id"] == "c0ffee@2012-03-04T06:00:00.123+01:00"
    assert (alarm["as_of"], alarm["severity"], alarm["kind"]) == ("2012-03-04T05:00:00.123000Z", "critical", "model_quality")
    assert alarm["metrics"] == [{"name": "RecallLow", "value": 0.61, "threshold": 0.7, "reference": None}]
    assert alarm["labels"]["alertname"] == "RecallLow"
    assert alarm["message"] == "RecallLow: recall fell"


async def test_a_structured_cloudevent_fills_the_alarm_from_its_envelope(http: httpx.AsyncClient, listening: Listening) -> None:
    endpoint = await listening(1)
    body = event({"kind": "bias"}, subject=endpoint.name)
    answer = await http.post(
        "/alarms", content=json.dumps(body), headers={"content-type": "application/cloudevents+json; charset=utf-8"}
    )
    assert answer.status_code == 202
    (alarm,) = await endpoint.heard()
    assert (alarm["id"], alarm["source"], alarm["as_of"], alarm["kind"]) == ("/detector#e-1", "/detector", STAMP, "bias")


async def test_a_batch_of_cloudevents_may_mix_formats_in_data(http: httpx.AsyncClient, listening: Listening) -> None:
    endpoint = await listening(3)
    encoded = base64.b64encode(json.dumps(own(endpoint.name, id="b")).encode()).decode()
    events = [event(own(endpoint.name)), event(cloudwatch(endpoint.name)), {**event(None), "data_base64": encoded}]
    del events[2]["data"]
    headers = {"content-type": "application/cloudevents-batch+json"}
    answer = await http.post("/alarms", content=json.dumps(events), headers=headers)
    assert [one["id"] for one in answer.json()["results"]] == ["a-1", "drift@2012-03-04T05:00:00.985+0000", "b"]
    assert len(await endpoint.heard()) == 3


async def test_a_binary_cloudevent_carries_its_attributes_in_headers(http: httpx.AsyncClient, listening: Listening) -> None:
    endpoint = await listening(1)
    headers = {"ce-specversion": "1.0", "ce-id": "e%201", "ce-source": "/detector", "ce-type": "drift", "ce-time": STAMP}
    answer = await http.post("/alarms", json={"kind": "data_drift", "endpoint": endpoint.name}, headers=headers)
    assert answer.status_code == 202
    (alarm,) = await endpoint.heard()
    assert (alarm["id"], alarm["as_of"]) == ("/detector#e 1", STAMP)


async def test_cloudwatch_alarms_find_their_endpoint_by_tag_then_by_dimension(
    http: httpx.AsyncClient, listening: Listening
) -> None:
    endpoint = await listening(2)
    assert (await http.post("/alarms", json=cloudwatch(endpoint.name))).status_code == 202
    tags = {"endpoint": endpoint.name, "kind": "business_kpi", "severity": "high"}
    assert (
        await http.post("/alarms", json=cloudwatch(None, alarmTags=tags, configuration={"alarmRule": "x"}))
    ).status_code == 202
    first, second = await endpoint.heard()
    assert (first["kind"], first["as_of"]) == ("data_drift", "2012-03-04T05:00:00.985000Z")
    assert first["metrics"][0] == {"name": "drift", "value": 0.4, "threshold": 0.2, "reference": None}
    assert (second["kind"], second["severity"]) == ("business_kpi", "high")


async def test_a_cloudwatch_state_that_is_no_alarm_is_acknowledged_and_ignored(http: httpx.AsyncClient) -> None:
    for state in ("OK", "INSUFFICIENT_DATA"):
        answer = await http.post("/alarms", json=cloudwatch("bikes", state=state))
        assert (answer.status_code, answer.json()["results"][0]["result"]) == (202, "ignored")


async def test_whoever_raised_an_alarm_can_say_that_it_has_ended(http: httpx.AsyncClient, listening: Listening) -> None:
    """Under the id that the alarm had: Alertmanager's fingerprint and start, CloudWatch's state before, our own."""
    endpoint = await listening(6)
    alarm_state = {"value": "ALARM", "timestamp": "2012-03-04T05:00:00.985+0000"}
    bodies = [
        own(endpoint.name),
        {"id": "a-1", "endpoint": endpoint.name, "status": "cleared"},
        webhook(alert(endpoint.name)),
        webhook(alert(endpoint.name, status="resolved")),
        cloudwatch(endpoint.name),
        cloudwatch(endpoint.name, state="OK", previousState=alarm_state),
    ]
    answers = [await http.post("/alarms", json=body) for body in bodies]
    assert [answer.json()["results"][0]["result"] for answer in answers] == ["accepted", "cleared"] * 3
    signals = await endpoint.handle.result()
    assert [name for name, _ in signals] == ["alarm", "cleared"] * 3
    for (_, raised), (_, cleared) in zip(signals[::2], signals[1::2], strict=True):
        assert (cleared["id"], cleared["endpoint"]) == (raised["id"], endpoint.name)


async def test_the_end_of_an_alarm_that_names_no_endpoint_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/alarms", json={"id": "a-1", "status": "cleared"})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("endpoint: is missing; send the endpoint's name")


async def test_the_senders_trace_goes_on_to_the_lifecycle(http: httpx.AsyncClient, listening: Listening) -> None:
    endpoint = await listening(3)
    trace_id, header = "1" * 32, f"00-{'1' * 32}-{'2' * 16}-01"
    await http.post("/alarms", json=own(endpoint.name), headers={"traceparent": header})
    await http.post("/alarms", json=own(endpoint.name, trace=header))
    await http.post("/alarms", json=own(endpoint.name), headers={"traceparent": "nonsense"})
    first, second, third = await endpoint.heard()
    assert first["trace"].split("-")[1] == second["trace"].split("-")[1] == trace_id
    assert third["trace"] is None or trace_id not in third["trace"]
