"""The queue: nothing is deleted before Temporal has it, nothing is lost, and nothing bad stays in the way."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge import sqs
from bridge.redrive import redrive
from bridge.rejected import RejectedLog
from bridge.sqs import Consumers, Limits
from bridge.taking import Taking
from tests.bridge.aws_bodies import alarm_event, ok_event, sagemaker_event
from tests.bridge.bodies import own
from tests.bridge.queues import FakeForwarder, FakeQueue, an_intake

QUICK = Limits(consumers=2, hold_seconds=3, wait_seconds=0, most_receives=3)


@asynccontextmanager
async def consuming(
    home: Path, forwarder: FakeForwarder, limits: Limits = QUICK
) -> AsyncIterator[tuple[FakeQueue, FakeQueue, Consumers]]:
    intake, queue, dead = an_intake()
    consumers = Consumers(intake, Taking(forwarder), RejectedLog(home), limits)
    stop = asyncio.Event()
    running = asyncio.create_task(consumers.run(stop))
    try:
        yield queue, dead, consumers
    finally:
        stop.set()
        await asyncio.wait_for(running, 10)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


def put(queue: FakeQueue, *bodies: Any) -> None:
    for body in bodies:
        queue.send(body if isinstance(body, str) else json.dumps(body), {"traceparent": ""})


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqs, "_PAUSES", (0.02,))


async def test_what_temporal_has_taken_is_deleted(tmp_path: Path) -> None:
    forwarder = FakeForwarder("bikes")
    async with consuming(tmp_path, forwarder) as (queue, dead, consumers):
        put(queue, alarm_event(), ok_event(), own("bikes"), [own("bikes", id="b"), own("bikes", id="c")])
        await until(lambda: not queue.messages)
        assert {alarm.id for alarm in forwarder.heard} >= {"a-1", "b", "c"}
        assert len(forwarder.ended) == 1
        state = await consumers.state()
    assert not dead.messages
    assert (state["status"], state["taken"], state["dead_letters"]) == ("serving", 4, 0)


async def test_while_temporal_is_away_nothing_is_deleted_and_nothing_more_is_taken(tmp_path: Path) -> None:
    forwarder = FakeForwarder("bikes")
    forwarder.down = True
    async with consuming(tmp_path, forwarder) as (queue, dead, consumers):
        put(queue, *[own("bikes", id=f"a-{n}") for n in range(40)])
        await until(lambda: forwarder.tried > 20)
        assert len(queue.messages) == 40
        assert max(m.receives for m in queue.messages) == 1, "waiting costs no receive"
        assert sum(m.receives for m in queue.messages) <= 20, "two consumers hold ten each"
        assert (await consumers.state())["trouble"].startswith("Temporal takes nothing")
        forwarder.down = False
        await until(lambda: not queue.messages)
    assert sorted(alarm.id for alarm in forwarder.heard) == sorted(f"a-{n}" for n in range(40))
    assert not dead.messages


async def test_a_bridge_that_stops_while_temporal_is_away_gives_back_what_it_holds(tmp_path: Path) -> None:
    forwarder = FakeForwarder("bikes")
    forwarder.down = True
    async with consuming(tmp_path, forwarder) as (queue, _, _consumers):
        put(queue, own("bikes"))
        await until(lambda: forwarder.tried > 1)
    assert [m.id for m in queue.messages] == ["m-0"]
    assert ("m-0", 0) in queue.held


async def test_what_is_worked_on_is_kept_from_others(tmp_path: Path) -> None:
    forwarder = FakeForwarder("bikes")
    forwarder.down = True
    async with consuming(tmp_path, forwarder) as (queue, _, _consumers):
        put(queue, own("bikes"))
        await until(lambda: ("m-0", 3) in queue.held)
        assert queue.messages[0].receives == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("not json", "the body isn't JSON"),
        ("", "the body is empty"),
        (json.dumps({"id": "x"}), "endpoint: is missing"),
        (json.dumps(alarm_event("cpu", configuration={})), "the alarm's tag `homeostat:endpoint`"),
    ],
)
async def test_poison_goes_to_the_dead_letters_with_its_reason(tmp_path: Path, body: str, reason: str) -> None:
    async with consuming(tmp_path, FakeForwarder("bikes")) as (queue, dead, _):
        put(queue, body, own("bikes"))
        await until(lambda: not queue.messages)
    (letter,) = dead.messages
    assert letter.body == body
    assert letter.attributes["reason"].startswith(reason)
    line = json.loads((tmp_path / "bridge" / "rejected.jsonl").read_text())
    assert (line["sender"], line["reason"]) == ("sqs", letter.attributes["reason"])


async def test_an_endpoint_that_is_applied_in_time_gets_its_alarm_and_one_that_never_is_ends_in_the_dead_letters(
    tmp_path: Path,
) -> None:
    forwarder = FakeForwarder()
    async with consuming(tmp_path, forwarder) as (queue, dead, _):
        put(queue, own("bikes"), own("nobody"))
        for _round in range(3):
            await until(lambda: all(m.invisible_until > 0 for m in queue.messages))
            forwarder.endpoints.add("bikes")
            for message in queue.messages:
                message.invisible_until = 0.0
            await asyncio.sleep(0.1)
        await until(lambda: not queue.messages)
    assert [alarm.endpoint for alarm in forwarder.heard] == ["bikes"]
    (letter,) = dead.messages
    assert letter.attributes["reason"].startswith("no endpoint 'nobody' is looked after here")
    assert letter.attributes["receives"] == "3"


async def test_what_aws_tells_of_an_endpoint_that_is_none_of_ours_pages_nobody(tmp_path: Path) -> None:
    """The rule on endpoints hears of the whole account; a tag says that an endpoint is meant to be ours."""
    foreign = sagemaker_event("Endpoint", EndpointName="others", EndpointStatus="FAILED")
    meant = sagemaker_event("Endpoint", EndpointName="x", EndpointStatus="FAILED", Tags={"homeostat:endpoint": "ours"})
    async with consuming(tmp_path, FakeForwarder()) as (queue, dead, _):
        put(queue, foreign, meant)
        for _round in range(3):
            await until(lambda: all(m.invisible_until > 0 for m in queue.messages))
            for message in queue.messages:
                message.invisible_until = 0.0
            await asyncio.sleep(0.1)
        await until(lambda: not queue.messages)
    (letter,) = dead.messages
    assert letter.attributes["reason"].startswith("no endpoint 'ours'")


async def test_where_the_dead_letters_cant_be_reached_poison_stays_in_the_queue(tmp_path: Path) -> None:
    async with consuming(tmp_path, FakeForwarder()) as (queue, dead, consumers):
        dead.down = True
        put(queue, "not json")
        await asyncio.sleep(0.2)
        assert len(queue.messages) == 1
        state = await consumers.state()
        assert state["status"] == "unreachable"
        dead.down = False
        queue.messages[0].invisible_until = 0.0
        await until(lambda: not queue.messages)
    assert len(dead.messages) == 1


async def test_a_queue_that_comes_back_is_taken_from_again(tmp_path: Path) -> None:
    forwarder = FakeForwarder("bikes")
    async with consuming(tmp_path, forwarder) as (queue, _, consumers):
        put(queue, own("bikes"))
        queue.down = True
        await asyncio.sleep(0.1)
        assert "connection refused" in (await consumers.state())["trouble"]
        queue.down = False
        await until(lambda: not queue.messages)


def test_redrive_moves_each_message_once_without_its_reason_and_leaves_what_doesnt_match() -> None:
    _, queue, dead = an_intake()
    for n in range(25):
        dead.send(f"body {n}", {"reason": "no endpoint 'bikes'" if n % 2 else "the body isn't JSON", "traceparent": "t"})
    looked = list(redrive(dead, queue, match="bikes", dry_run=True))
    assert ([one.moved for one in looked], len(dead.messages), queue.messages) == ([False] * 12, 25, [])
    moved = list(redrive(dead, queue, match="bikes", dry_run=False))
    assert [one.letter.body for one in moved] == [f"body {n}" for n in range(1, 25, 2)]
    assert [m.attributes for m in queue.messages] == [{"traceparent": "t"}] * 12
    assert {m.attributes["reason"] for m in dead.messages} == {"the body isn't JSON"}
    assert len(list(redrive(dead, queue, match="", dry_run=False))) == 13
    assert not dead.messages
