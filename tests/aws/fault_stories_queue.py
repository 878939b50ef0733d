"""The alarm bridge's queue: whatever fails, an alarm reaches its lifecycle, and a message that nobody can read is kept."""

import asyncio
import json
import time
from typing import Final

import pytest

from bridge import sqs
from bridge.redrive import redrive
from bridge.rejected import RejectedLog
from bridge.sqs import Consumers, Limits
from bridge.taking import Taking
from platforms.aws.monitor_reports import SageMakerMonitorReports
from platforms.aws.queue import SqsQueue
from platforms.letters import AlarmIntake
from tests.aws.faulting import Stage, Step, Story
from tests.bridge.aws_bodies import alarm_event
from tests.bridge.queues import FakeForwarder

_LIMITS: Final = Limits(consumers=1, hold_seconds=1, wait_seconds=0, most_receives=50)
_PATIENCE: Final = 20.0
_AT_ONCE: Final = (0.01,)


def _queues(stage: Stage) -> tuple[SqsQueue, SqsQueue]:
    if "queues" not in stage.kept:
        names = (f"{stage.aws.settings.prefix}{end}" for end in ("", "-dead"))
        urls = [stage.seen("sqs", "create_queue", QueueName=name)["QueueUrl"] for name in names]
        stage.kept["queues"] = tuple(SqsQueue(stage.aws, url) for url in urls)
    first, dead = stage.kept["queues"]
    return first, dead


def _consuming(stage: Stage, body: str, *listening: str) -> Step:
    """A bridge that works until the queue is empty, as one step: it tries again by itself."""
    queue, dead = _queues(stage)
    queue.send(body, {})
    forwarder = stage.kept["forwarder"] = FakeForwarder(*listening)
    return lambda: asyncio.run(_until_empty(stage, AlarmIntake(queue, dead, SageMakerMonitorReports(stage.aws)), forwarder))


async def _until_empty(stage: Stage, intake: AlarmIntake, forwarder: FakeForwarder) -> None:
    rejected = RejectedLog(stage.place)
    consumers = Consumers(intake, Taking(forwarder), rejected, _LIMITS)
    stop, until = asyncio.Event(), time.monotonic() + _PATIENCE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqs, "_PAUSES", _AT_ONCE)
        working = asyncio.create_task(consumers.run(stop))
        while _left(stage) and time.monotonic() < until:  # noqa: ASYNC110 - the queue is in another process
            await asyncio.sleep(0.05)
        stop.set()
        await working


def _left(stage: Stage, of: int = 0) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = stage.seen("sqs", "get_queue_attributes", QueueUrl=_queues(stage)[of].url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def _alarm(stage: Stage) -> Step:
    return _consuming(stage, json.dumps(alarm_event(alarmTags={"homeostat:endpoint": "bikes"})), "bikes")


def _alarm_holds(stage: Stage) -> None:
    """Heard perhaps twice, which is one alarm by its id, and gone from the queue."""
    heard = stage.kept["forwarder"].heard
    assert heard, "the alarm was lost"
    assert len({alarm.id for alarm in heard}) == 1
    assert (_left(stage), _left(stage, 1)) == (0, 0)


def _poison(stage: Stage) -> Step:
    return _consuming(stage, "no JSON")


def _poison_holds(stage: Stage) -> None:
    assert _left(stage) == 0
    letters = _queues(stage)[1].receive(most=10, wait_seconds=0, hold_seconds=30)
    assert letters, "the message was lost"
    assert {letter.body for letter in letters} == {"no JSON"}
    assert all(letter.attributes["reason"] for letter in letters)


def _given_back(stage: Stage) -> Step:
    queue, _ = _queues(stage)
    queue.send("body", {})
    [letter] = queue.receive(most=1, wait_seconds=0, hold_seconds=2)
    return lambda: queue.hold(letter, 0)


def _given_back_holds(stage: Stage) -> None:
    [again] = _queues(stage)[0].receive(most=1, wait_seconds=4, hold_seconds=30)
    assert (again.body, again.receives) == ("body", 2)


def _redrive(stage: Stage) -> Step:
    """Run again by a person until nothing is left; what a run had in hand when it broke off comes back after its hold."""
    queue, dead = _queues(stage)
    dead.send("body", {"reason": "unreadable"})
    return lambda: _redriven(stage, queue, dead)


def _redriven(stage: Stage, queue: SqsQueue, dead: SqsQueue) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bridge.redrive._HOLD_SECONDS", 1)
        while _left(stage, 1):
            list(redrive(dead, queue, match="", dry_run=False))


def _redrive_holds(stage: Stage) -> None:
    """In the queue, perhaps twice, which is one alarm by its id; and nothing is left among the dead letters."""
    letters = _queues(stage)[0].receive(most=10, wait_seconds=0, hold_seconds=30)
    assert {letter.body for letter in letters} == {"body"}
    assert _left(stage, 1) == 0


_NO_LOSS: Final = "the alarm is heard, counts once, and nothing stays in the queue"

QUEUE: Final = (
    Story("sqs", "receive_message", "take an alarm from the queue", _NO_LOSS, _alarm, _alarm_holds, patient=True),
    Story("sqs", "delete_message_batch", "say that an alarm is taken", _NO_LOSS, _alarm, _alarm_holds, patient=True),
    Story("sqs", "change_message_visibility", "give a message back", "it is handed out again", _given_back, _given_back_holds),
    Story(
        "sqs",
        "send_message",
        "put a message aside that nobody can read",
        "kept with its reason",
        _poison,
        _poison_holds,
        patient=True,
    ),
    Story("sqs", "send_message", "redrive a dead letter", "back in the queue", _redrive, _redrive_holds),
)
