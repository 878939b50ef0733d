"""A queue as SQS behaves: at least once, out of order at will, visible again when nobody acknowledges."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from bridge.forward import Forwarder, TemporalDown, UnknownEndpoint
from contracts.alarm import Alarm, Cleared
from platforms.errors import NotFound, Unavailable
from platforms.letters import AlarmIntake, Letter, MonitorReport, QueueState


@dataclass
class Message:
    id: str
    body: str
    attributes: dict[str, str]
    receives: int = 0
    invisible_until: float = 0.0


@dataclass
class FakeQueue:
    messages: list[Message] = field(default_factory=list)
    down: bool = False
    held: list[tuple[str, int]] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)

    def receive(self, *, most: int, wait_seconds: int, hold_seconds: int) -> list[Letter]:
        self._check()
        now = time.monotonic()
        found = [m for m in self.messages if m.invisible_until <= now][:most]
        for message in found:
            message.receives += 1
            message.invisible_until = now + hold_seconds
        if not found:
            time.sleep(0.01)
        return [Letter(m.id, m.body, m.id, m.receives, dict(m.attributes)) for m in found]

    def hold(self, letter: Letter, seconds: int) -> None:
        self._check()
        self.held.append((letter.id, seconds))
        for message in self.messages:
            if message.id == letter.id:
                message.invisible_until = time.monotonic() + seconds

    def acknowledge(self, letters: Sequence[Letter]) -> None:
        self._check()
        gone = {letter.id for letter in letters}
        self.messages = [m for m in self.messages if m.id not in gone]

    def send(self, body: str, attributes: Mapping[str, str]) -> None:
        self._check()
        self.messages.append(Message(f"m-{next(self._numbers)}", body, dict(attributes)))

    def state(self) -> QueueState:
        self._check()
        now = time.monotonic()
        hidden = sum(m.invisible_until > now for m in self.messages)
        return QueueState(len(self.messages) - hidden, hidden)

    def _check(self) -> None:
        if self.down:
            raise Unavailable("sqs: connection refused")


@dataclass
class FakeReports:
    reports: dict[str, MonitorReport] = field(default_factory=dict)

    def report(self, job: str) -> MonitorReport:
        if job not in self.reports:
            raise NotFound(f"{job}: is no monitoring job")
        return self.reports[job]


def an_intake() -> tuple[AlarmIntake, FakeQueue, FakeQueue]:
    queue, dead = FakeQueue(), FakeQueue()
    return AlarmIntake(queue, dead, FakeReports()), queue, dead


class FakeForwarder(Forwarder):
    """Lifecycles of these names listen."""

    def __init__(self, *endpoints: str) -> None:
        self.endpoints = set(endpoints)
        self.heard: list[Alarm] = []
        self.ended: list[Cleared] = []
        self.down = False
        self.tried = 0

    async def send(self, alarm: Alarm, traceparent: str | None = None) -> None:
        self._check(alarm.endpoint)
        self.heard.append(alarm)

    async def clear(self, cleared: Cleared) -> None:
        self._check(cleared.endpoint)
        self.ended.append(cleared)

    async def healthy(self) -> bool:
        return not self.down

    def _check(self, endpoint: str) -> None:
        self.tried += 1
        if self.down:
            raise TemporalDown("connection refused")
        if endpoint not in self.endpoints:
            raise UnknownEndpoint(endpoint)
