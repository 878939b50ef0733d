"""State changes end a pause early, and whatever goes wrong with them costs no more than that pause."""

import json
import threading
import time
from collections.abc import Sequence
from typing import Any, Self

import pytest

from platforms.wakeups import WakeUps
from runtime import wakeups
from runtime.wakeups import listen
from tests.bridge.aws_bodies import sagemaker_event
from tests.bridge.queues import FakeQueue

JOB = sagemaker_event("Training Job", TrainingJobStatus="Completed", Tags={"homeostat:key": "endpoint/bikes/train/1"})
ENDPOINT = sagemaker_event("Endpoint", EndpointName="live-bikes", EndpointStatus="IN_SERVICE")


class Workers:
    """Processes that share a queue."""

    def __init__(self, each: Sequence[WakeUps], queue: FakeQueue | None = None) -> None:
        self.queue = queue or FakeQueue()
        self.each = each
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=listen, args=(self.queue, "live-", self._stop), kwargs={"wait_seconds": 0, "wake_ups": w})
            for w in self.each
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def gone(self) -> None:
        end = time.monotonic() + 10
        while self.queue.messages:
            assert time.monotonic() < end, "the message stays"
            time.sleep(0.01)


def put(queue: FakeQueue, body: Any) -> None:
    queue.send(json.dumps(body), {})


def test_whoever_waits_is_woken_once_by_the_jobs_key_or_by_the_endpoints_name() -> None:
    wake_ups = WakeUps()
    with Workers([wake_ups]) as workers, wake_ups.waiting("endpoint/bikes/train/1"), wake_ups.waiting("bikes"):
        put(workers.queue, JOB)
        put(workers.queue, ENDPOINT)
        workers.gone()
        assert [wake_ups.woken(name) for name in ("endpoint/bikes/train/1", "bikes", "bikes")] == [True, True, False]


def test_a_message_for_another_worker_is_handed_on() -> None:
    queue, other = FakeQueue(), WakeUps()
    put(queue, ENDPOINT)
    with Workers([WakeUps()], queue):
        end = time.monotonic() + 10
        while not queue.held:
            assert time.monotonic() < end
            time.sleep(0.01)
    assert queue.messages, "it is not deleted by who doesn't wait for it"
    with other.waiting("bikes"), Workers([other], queue) as workers:
        workers.gone()
        assert other.woken("bikes")


def test_what_nobody_waits_for_and_what_nobody_can_read_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "_HAND_ON_SECONDS", 0)
    with Workers([WakeUps(), WakeUps()]) as workers:
        put(workers.queue, ENDPOINT)
        workers.queue.send("not json", {})
        workers.queue.send("[]", {})
        workers.gone()


def test_news_of_nothing_that_is_waited_for_is_not_kept() -> None:
    wake_ups = WakeUps()
    assert not wake_ups.wake("bikes")
    with wake_ups.waiting("bikes"):
        assert not wake_ups.woken("bikes")
        with wake_ups.waiting("bikes"):
            assert wake_ups.wake("bikes")
        assert wake_ups.woken("bikes")
        wake_ups.wake("bikes")
    with wake_ups.waiting("bikes"):
        assert not wake_ups.woken("bikes")
