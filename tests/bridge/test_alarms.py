"""POST /alarms: each format becomes our alarm in the lifecycle's history; each bad item is named; nothing vanishes."""

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import Client

from bridge.app import build_app
from bridge.forward import Forwarder
from runtime.settings import Settings

Listening = Callable[[int], Any]
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


async def test_alertmanager_firing_alerts_are_forwarded_and_resolved_ones_ignored(
    http: httpx.AsyncClient, listening: Listening
) -> None:
    endpoint = await listening(1)
    answer = await http.post("/alarms", json=webhook(alert(endpoint.name), alert(endpoint.name, status="resolved")))
    assert (answer.status_code, [one["result"] for one in answer.json()["results"]]) == (202, ["accepted", "ignored"])
    (alarm,) = await endpoint.heard()
    assert alarm["id"] == "c0ffee@2012-03-04T06:00:00.123+01:00"
    assert (alarm["as_of"], alarm["severity"], alarm["kind"]) == ("2012-03-04T05:00:00.123000Z", "critical", "model_quality")
    assert alarm["metrics"] == [{"name": "RecallLow", "value": 0.61, "threshold": 0.7, "reference": None}]
    assert alarm["labels"]["alertname"] == "RecallLow"
    assert alarm["message"] == "RecallLow: recall fell"


async def test_one_bad_alert_in_a_group_is_named_and_the_others_go_through(
    http: httpx.AsyncClient, listening: Listening, settings: Settings
) -> None:
    endpoint = await listening(1)
    bad = alert(endpoint.name, labels={"kind": "weather"})
    nameless = alert("x")
    del nameless["labels"]["endpoint"]
    answer = await http.post("/alarms", json=webhook(bad, alert(endpoint.name), nameless, "text"))
    told = answer.json()["results"]
    assert (answer.status_code, [one["result"] for one in told]) == (202, ["refused", "accepted", "refused", "refused"])
    assert told[0]["reason"].startswith("labels.kind: read \"weather\"; should be 'data_drift'")
    assert told[2]["reason"].startswith("labels.endpoint: is missing; send the endpoint's name")
    assert [one["reason"] for one in rejected(settings)] == [told[n]["reason"] for n in (0, 2, 3)]


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
    answer = await http.post("/alarms", json=cloudwatch("bikes", state="OK"))
    assert (answer.status_code, answer.json()["results"][0]["result"]) == (202, "ignored")


async def test_an_endpoint_nobody_looks_after_is_404_with_the_remedy(http: httpx.AsyncClient, settings: Settings) -> None:
    answer = await http.post("/alarms", json=own("nobody"))
    assert answer.status_code == 404
    assert "no endpoint 'nobody' is looked after here; name it in the fleet file and run" in answer.json()["error"]
    assert json.loads(rejected(settings)[0]["head"])["endpoint"] == "nobody"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"as_of": None}, "as_of: read null; should be a valid datetime; send the time of the data as ISO 8601 with a zone"),
        ({"as_of": "2012-03-04T05:00:00"}, 'as_of: read "2012-03-04T05:00:00"; should have timezone info; send the time'),
        ({"as_of": 1330837200}, "as_of: read 1330837200; "),
        ({"as_of": "0001-01-01T00:00:00+23:00"}, 'as_of: read "0001-01-01T00:00:00+23:00"; the time lies beyond'),
        (
            {"as_of": "9990-01-01T00:00:00Z"},
            'as_of: read "9990-01-01T00:00:00Z"; a time of data lies between the years 1950 and 2200',
        ),
        ({"endpoint": "../etc"}, 'endpoint: read "../etc"; should match pattern'),
        ({"endpoint": "a" * 64}, "endpoint: read"),
        ({"severty": "high"}, "severty: is unknown; known are id, endpoint, kind, as_of, severity"),
        ({"severity": "worst"}, "severity: read \"worst\"; should be 'low', 'medium', 'high' or 'critical'; send one of"),
        ({"metrics": [{"name": "recall", "value": "0.6"}]}, 'metrics.0.value: read "0.6"; should be a valid number'),
        ({"metrics": [{"name": "recall", "vale": 1}]}, "metrics.0.vale: is unknown; known are name, value"),
        ({"id": ""}, 'id: read ""; should have at least 1 character; send a text that stays the same'),
        ({"labels": {"a": 1}}, "labels.a: read 1; should be a valid string"),
        ({"labels": {str(n): "x" * 1000 for n in range(50)}, "message": "m" * 4000, "source": "\u2028" * 200}, None),
        ({"message": "m" * 4001}, "message: read"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
async def test_a_field_that_can_not_be_right_is_400_and_named(
    http: httpx.AsyncClient, settings: Settings, change: dict[str, Any], reason: str | None
) -> None:
    body = {**own("nobody"), **change}
    answer = await http.post("/alarms", json=body)
    if reason is None:
        assert answer.status_code == 404, "the largest alarm is still an alarm"
        return
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(reason)
    assert rejected(settings)[0]["reason"].startswith(reason)


async def test_an_alarm_without_a_time_is_400_and_says_what_to_send(http: httpx.AsyncClient) -> None:
    body = own("bikes")
    del body["as_of"]
    answer = await http.post("/alarms", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        "as_of: is missing; send the time of the data as ISO 8601 with a zone, for example 2026-03-01T12:00:00Z"
    )


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "the body is empty"),
        (b"{", 400, "the body isn't JSON"),
        (b"\xff\xfe", 400, "the body isn't UTF-8"),
        (b'{"a": 1, "a": 2}', 400, "the body isn't JSON: the key 'a' stands in one object twice"),
        (b'{"id": NaN}', 400, "the body isn't JSON: NaN is not a JSON number"),
        (b"1" * 5000, 400, "the body isn't JSON"),
        (b"[" * 100_000, 400, "the body is nested deeper than 20 levels"),
        (b"[" * 21 + b"]" * 21, 400, "the body is nested deeper than 20 levels"),
        (b" " * 262_145, 413, "the body is larger than 262144 bytes"),
        (b"[" + b"1," * 500 + b"1]", 413, "the body holds 501 alarms"),
        (b"[]", 400, "the body holds no alarm"),
        (b'{"version": "4", "alerts": []}', 400, "the body holds no alarm"),
        (b'{"version": "4", "alerts": {}}', 400, "alerts: should be a list"),
        (b'{"version": "3", "alerts": [1]}', 400, 'version: read "3"; only'),
        (b"null", 400, "an alarm is a JSON object, found null"),
    ],
)
async def test_a_body_that_is_no_alarm_is_refused_and_kept(
    http: httpx.AsyncClient, settings: Settings, body: bytes, status: int, reason: str
) -> None:
    answer = await http.post("/alarms", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"].startswith(reason)
    (kept,) = rejected(settings)
    assert kept["reason"].startswith(reason)
    assert len(kept["head"]) <= 2000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"time": None}, "time (or data.as_of): is missing; send the time of the data"),
        ({"specversion": "0.3"}, "specversion: read '0.3'; only '1.0'"),
        ({"source": ""}, "source: is missing; a CloudEvent carries"),
        ({"data": [1]}, "data: should be an alarm as a JSON object, found a list"),
        ({"data": None}, "data: should be an alarm as a JSON object, found null"),
    ],
)
async def test_a_cloudevent_that_is_no_alarm_says_why(http: httpx.AsyncClient, change: dict[str, Any], reason: str) -> None:
    body = {**event({"kind": "bias", "endpoint": "bikes"}), **change}
    answer = await http.post("/alarms", content=json.dumps(body), headers={"content-type": "application/cloudevents+json"})
    assert (answer.status_code, answer.json()["error"][: len(reason)]) == (400, reason)


async def test_a_form_can_not_post_alarms(http: httpx.AsyncClient) -> None:
    """A web page may send such bodies to loopback without asking; JSON it may not."""
    for content in ("text/plain", "application/x-www-form-urlencoded"):
        answer = await http.post("/alarms", content=json.dumps(own("bikes")), headers={"content-type": content})
        assert answer.status_code == 415
        assert "send application/json" in answer.json()["error"]


async def test_compressed_bodies_are_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/alarms", content=b"x", headers={"content-type": "application/json", "content-encoding": "gzip"})
    assert answer.status_code == 415


async def test_a_foreign_host_name_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/alarms", json=own("bikes"), headers={"host": "evil.example"})
    assert answer.status_code == 400


async def test_with_a_token_set_only_its_bearer_is_heard(client: Client, settings: Settings) -> None:
    guarded = settings.model_copy(update={"bridge_token": SecretStr("sesame-ü")})
    transport = httpx.ASGITransport(build_app(guarded, Forwarder(client)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic sesame"}, {"authorization": "Bearer "}):
            answer = await http.post("/alarms", json=own("nobody"), headers=header)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        right = {b"authorization": "Bearer sesame-ü".encode()}
        assert (await http.post("/alarms", json=own("nobody"), headers=right)).status_code == 404
        assert (await http.get("/health")).status_code == 200
    assert "sesame" not in (settings.home / "bridge" / "rejected.jsonl").read_text()


async def test_the_senders_trace_goes_on_to_the_lifecycle(http: httpx.AsyncClient, listening: Listening) -> None:
    endpoint = await listening(3)
    trace_id, header = "1" * 32, f"00-{'1' * 32}-{'2' * 16}-01"
    await http.post("/alarms", json=own(endpoint.name), headers={"traceparent": header})
    await http.post("/alarms", json=own(endpoint.name, trace=header))
    await http.post("/alarms", json=own(endpoint.name), headers={"traceparent": "nonsense"})
    first, second, third = await endpoint.heard()
    assert first["trace"].split("-")[1] == second["trace"].split("-")[1] == trace_id
    assert third["trace"] is None or trace_id not in third["trace"]


async def test_other_paths_and_methods_say_what_there_is(http: httpx.AsyncClient) -> None:
    assert (await http.get("/alarms")).status_code == 405
    answer = await http.get("/nothing")
    assert answer.status_code == 404
    assert "POST /alarms" in answer.json()["error"]
