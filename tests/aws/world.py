"""The simulated account: its clock, its folder, its log of calls, the processes that it owns."""

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.config

from tests.aws.calls import Call, Logged
from tests.aws.faults import Faults
from tests.aws.nursery import Nursery

ACCOUNT, REGION = "123456789012", "eu-west-1"
INTERNAL = "x-sim-internal"
"""Marks the simulator's own calls to itself: they meet no fault and stand in no log."""
Operation = Callable[[Call], dict[str, Any] | None]


class World:
    """One for the process. Waits are on a clock that runs `speed` times as fast; a process that really runs takes its real time."""

    def __init__(self, home: Path, speed: float) -> None:
        self.home = home
        self.speed = speed
        self.url = ""
        self.faults = Faults()
        self.nursery = Nursery(home)
        self.calls: deque[Logged] = deque(maxlen=200_000)
        self.operations: dict[tuple[str, str], Operation] = {}
        self.passed: set[str] = set()
        """Services whose other operations moto answers; of the rest only what an overlay answers is simulated."""
        self.lock = threading.RLock()
        """For the overlays' state."""
        self.tags: dict[str, dict[str, str]] = {}
        """By ARN, of what overlays make."""
        self.on_event: Callable[[str, str, dict[str, Any], Sequence[str]], None] = lambda *_: None
        self._began, self._shift = time.monotonic(), timedelta()
        self._at = datetime.now(UTC)
        self._children: list[subprocess.Popen[bytes]] = []
        self._ended = threading.Event()

    # ---- what overlays offer

    def operation(self, service: str, name: str) -> Callable[[Operation], Operation]:
        """Answer this operation: `@world.operation("sagemaker", "StopTrainingJob")` over a function of the call that returns the
        answer's fields, or raises Refusal.
        """

        def taken(function: Operation) -> Operation:
            self.operations[service, name] = function
            return function

        return taken

    def emit_event(self, source: str, detail_type: str, detail: dict[str, Any], resources: Sequence[str] = ()) -> None:
        """Put an event of AWS's own on the default bus; whoever simulates EventBridge sets `on_event`."""
        self.on_event(source, detail_type, detail, resources)

    # ---- the clock

    def now(self) -> datetime:
        return self._at + timedelta(seconds=(time.monotonic() - self._began) * self.speed) + self._shift

    def advance(self, seconds: float) -> None:
        """Everything that waits on the clock sees it within a moment."""
        self._shift += timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        """So many simulated seconds; ends early when the world ends."""
        until = self.now() + timedelta(seconds=seconds)
        while (left := (until - self.now()).total_seconds() / self.speed) > 0 and not self._ended.is_set():
            self._ended.wait(min(left, 0.05))

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Do it once, so many simulated seconds from now, on a thread of its own."""
        self.thread(lambda: (self.sleep(seconds), None if self._ended.is_set() else do()))

    def every(self, seconds: float, do: Callable[[], None]) -> None:
        """Do it again and again until the world ends."""

        def loop() -> None:
            while not self._ended.is_set():
                self.sleep(seconds)
                do()

        self.thread(loop)

    def thread(self, do: Callable[[], Any]) -> threading.Thread:
        thread = threading.Thread(target=do, daemon=True)
        thread.start()
        return thread

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    # ---- the world outside

    def client(self, service: str) -> Any:
        """A boto3 client to this very simulator, for the overlays' own use."""
        made = boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="AKIAINTERNALOFTHESIM",
            aws_secret_access_key="internal",
            config=botocore.config.Config(retries={"total_max_attempts": 1}, max_pool_connections=32),
        )
        made.meta.events.register("before-send.*", _mark)
        return made

    def spawn(self, command: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
        """A process that ends with the world at the latest."""
        child = subprocess.Popen([sys.executable if word == "python" else word for word in command], **how)
        self._children.append(child)
        return child

    def end(self) -> None:
        self._ended.set()
        self.nursery.end()
        for child in self._children:
            if child.poll() is None:
                child.kill()
                child.wait()


def _mark(request: Any, **_: Any) -> None:
    request.headers[INTERNAL] = "1"
