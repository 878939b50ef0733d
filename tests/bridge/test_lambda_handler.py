"""The bridge as a function: the same core, with Lambda's way to say what has to come again."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from bridge.lambda_handler import Again, Function, handler
from bridge.taking import Taking
from platforms.aws.calls import Aws
from tests.bridge.aws_bodies import alarm_event, alarm_text
from tests.bridge.bodies import own
from tests.bridge.queues import FakeForwarder, FakeQueue

Listening = Callable[[int], Any]


def record(name: str, body: Any, receives: int = 1) -> dict[str, Any]:
    return {
        "messageId": name,
        "receiptHandle": f"r-{name}",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "messageAttributes": {"traceparent": {"stringValue": "t", "dataType": "String"}},
        "eventSource": "aws:sqs",
    }


def a_function(*endpoints: str) -> tuple[Function, FakeForwarder, FakeQueue]:
    forwarder, dead = FakeForwarder(*endpoints), FakeQueue()
    return Function(Taking(forwarder), dead, 3), forwarder, dead


def failures(answer: dict[str, Any]) -> list[str]:
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


async def test_only_what_has_to_come_again_is_named() -> None:
    function, forwarder, dead = a_function("bikes")
    records = [
        record("good", own("bikes")),
        record("early", own("nobody")),
        record("poison", "not json"),
        record("late", own("nobody"), 3),
    ]
    assert failures(await function.handle({"Records": records})) == ["early"]
    assert [alarm.endpoint for alarm in forwarder.heard] == ["bikes"]
    assert [m.attributes["reason"][:20] for m in dead.messages] == ["the body isn't JSON:", "no endpoint 'nobody'"]


async def test_while_temporal_is_away_all_of_a_batch_comes_again_after_one_try() -> None:
    function, forwarder, _ = a_function("bikes")
    forwarder.down = True
    records = [record(f"m-{n}", own("bikes", id=f"a-{n}")) for n in range(3)]
    assert failures(await function.handle({"Records": records})) == ["m-0", "m-1", "m-2"]
    assert forwarder.tried == 1


async def test_poison_that_cant_be_put_aside_comes_again() -> None:
    function, _, dead = a_function()
    dead.down = True
    assert failures(await function.handle({"Records": [record("poison", "not json")]})) == ["poison"]


async def test_a_pushed_event_is_taken_or_tried_again_by_lambda() -> None:
    function, forwarder, dead = a_function("bikes")
    assert await function.handle(alarm_event()) == {"taken": 1}
    notification = {"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "1", "Message": json.dumps(alarm_text())}}]}
    assert await function.handle(notification) == {"taken": 1}
    assert len({alarm.id for alarm in forwarder.heard}) == 1, "the same transition by two ways"
    assert await function.handle({"detail-type": "weather", "source": "x"}) == {"taken": 1}
    assert len(dead.messages) == 1
    forwarder.down = True
    with pytest.raises(Again, match="Temporal takes nothing"):
        await function.handle(alarm_event())
    with pytest.raises(Again, match="no endpoint"):
        await a_function()[0].handle(alarm_event())


async def test_the_handler_reaches_a_real_lifecycle_and_keeps_its_client(
    client: Client, listening: Listening, aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    endpoint = await listening(2)
    url = aws.call("sqs", "create_queue", QueueName=aws.settings.prefix)["QueueUrl"]
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path))
    monkeypatch.setenv("HOMEOSTAT_SQS_QUEUE_URL", url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", client.service_client.config.target_host)
    for n in range(2):
        body = alarm_event(f"a-{n}", alarmTags={"homeostat:endpoint": endpoint.name})
        assert await asyncio.to_thread(handler, body, None) == {"taken": 1}
    assert [alarm["endpoint"] for alarm in await endpoint.heard()] == [endpoint.name] * 2
