"""POST /alarms: each bad item is named, each bad body is kept, and nobody is let in who should not be."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import Client

from bridge.app import Bridge, build_app
from bridge.forward import Forwarder
from bridge.taking import Taking
from runtime.settings import Settings
from tests.bridge.bodies import alert, cloudwatch, event, own, rejected, webhook

Listening = Callable[[int], Any]


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
    transport = httpx.ASGITransport(build_app(guarded, Bridge(Taking(Forwarder(client)))))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic sesame"}, {"authorization": "Bearer "}):
            answer = await http.post("/alarms", json=own("nobody"), headers=header)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        right = {b"authorization": "Bearer sesame-ü".encode()}
        assert (await http.post("/alarms", json=own("nobody"), headers=right)).status_code == 404
        assert (await http.get("/health")).status_code == 200
    assert "sesame" not in (settings.home / "bridge" / "rejected.jsonl").read_text()


async def test_other_paths_and_methods_say_what_there_is(http: httpx.AsyncClient) -> None:
    assert (await http.get("/alarms")).status_code == 405
    answer = await http.get("/nothing")
    assert answer.status_code == 404
    assert "POST /alarms" in answer.json()["error"]


async def test_an_alarm_larger_than_a_lifecycle_reads_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/alarms", json=own("nobody", labels={str(n): "é" * 1000 for n in range(50)}))
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "the alarm is larger than 60000 bytes; send fewer labels and metrics",
    )


async def test_half_a_character_does_not_break_the_answer(http: httpx.AsyncClient) -> None:
    """JSON may spell a lone surrogate, which no encoding can carry."""
    body = json.dumps(cloudwatch("bikes", state="OK", alarmName="\ud800")).encode()
    answer = await http.post("/alarms", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["results"][0]["result"]) == (202, "ignored")


async def test_a_body_without_end_is_cut_off_at_the_limit(http: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 100_000
            yield b" " * 100_000

    answer = await http.post("/alarms", content=endless(), headers={"content-type": "application/json"})
    assert (answer.status_code, sent) == (413, 300_000)
