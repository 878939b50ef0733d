"""The bridge's ports besides HTTP: a queue of messages, and what monitoring jobs have found, in our words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Letter:
    """One message, in hand until it is acknowledged, rejected or given back."""

    id: str
    body: str
    receipt: str
    """Names this receive of it; a later receive has another."""
    receives: int = 1
    """How often it has been handed out, this time included."""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class QueueState:
    """How many messages wait and how many are in hand, roughly: a distributed queue doesn't know better."""

    waiting: int
    in_hand: int


@dataclass(frozen=True)
class Violation:
    """One constraint that the data did not keep."""

    check: str
    feature: str
    description: str


@dataclass(frozen=True)
class MonitorReport:
    """How a monitoring job has ended."""

    endpoint: str
    """As the platform calls it; empty where the job doesn't say."""
    schedule: str
    kind: str
    """What was monitored, as the platform calls it."""
    exit_message: str
    ended_at: datetime
    violations: tuple[Violation, ...] = ()


class AlarmQueue(Protocol):
    """A queue that hands a message out again until it is acknowledged. All raise Unavailable, NotFound (no such queue)."""

    def receive(self, *, most: int, wait_seconds: int, hold_seconds: int) -> Sequence[Letter]:
        """Messages that nobody else gets for `hold_seconds`; waits so long for the first."""
        ...

    def hold(self, letter: Letter, seconds: int) -> None:
        """Keep it in hand for so long from now; 0 gives it back."""
        ...

    def acknowledge(self, letters: Sequence[Letter]) -> None:
        """They were taken for good. What is gone already counts as acknowledged."""
        ...

    def send(self, body: str, attributes: Mapping[str, str]) -> None: ...

    def state(self) -> QueueState: ...


class MonitorReports(Protocol):
    """What a detector of the platform has written down."""

    def report(self, job: str) -> MonitorReport:
        """Raises: NotFound (no such job, or none that monitors), Invalid (its files can't be read), Unavailable."""
        ...


@dataclass(frozen=True)
class AlarmIntake:
    """Where alarms come from besides HTTP, and what helps to read them; made only by `runtime/wiring.py`."""

    queue: AlarmQueue
    rejected: AlarmQueue | None
    """Where goes what can't be taken; without one it stays in the queue."""
    reports: MonitorReports
    endpoint_prefix: str = ""
    """Stands before an endpoint's name in what AWS says of it."""
