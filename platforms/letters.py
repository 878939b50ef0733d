"""What the bridge's queue holds, and what a monitoring job has found, in our words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


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
