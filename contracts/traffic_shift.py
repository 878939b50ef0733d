"""How traffic moves from one model to the next, where the platform can move it in steps."""

from datetime import timedelta
from enum import StrEnum
from math import ceil
from typing import Annotated, Final

from pydantic import Field, StringConstraints, model_validator

from contracts.base import Declared, Duration

AlarmName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"\S")]


class ShiftKind(StrEnum):
    """SageMaker's deployment guardrails."""

    ALL_AT_ONCE = "all_at_once"
    """A whole new fleet, then all traffic."""
    CANARY = "canary"
    """`size` percent first, the rest when nothing has gone wrong."""
    LINEAR = "linear"
    """`size` percent more with each step."""
    ROLLING = "rolling"
    """`size` percent of the instances replaced with each step: no second fleet to pay for."""


_SIZES: Final = {ShiftKind.CANARY: (1, 50), ShiftKind.LINEAR: (10, 50), ShiftKind.ROLLING: (5, 50)}
"""Percent of the fleet that a step may have."""


class TrafficShift(Declared):
    """On AWS; the local platform swaps the model in every instance at once, whatever is declared here."""

    kind: ShiftKind = ShiftKind.ALL_AT_ONCE
    size: int = Field(default=10, ge=1, le=50)
    """Percent of the fleet in each step; canary 1 to 50, linear 10 to 50, rolling 5 to 50."""
    wait: Duration = Field(default=timedelta(minutes=5), le=timedelta(hours=1))
    """How long the alarms watch each step, and the whole before the former fleet goes. With all_at_once and no alarms nobody
    would watch, so nothing waits."""
    timeout: Duration = Field(default=timedelta(minutes=30), ge=timedelta(minutes=10), le=timedelta(hours=8))
    """When a deployment that hasn't ended goes back."""
    alarms: tuple[AlarmName, ...] = Field(default=(), max_length=10)
    """CloudWatch alarms of the endpoint's errors and latency; one that goes off while traffic moves brings the former model back.
    One that is in ALARM already when a deployment begins, like the one that called for it, is left out of that deployment."""

    @property
    def steps(self) -> int:
        """Waits that a deployment has."""
        if self.kind is ShiftKind.ALL_AT_ONCE:
            return 1 if self.alarms else 0
        return 2 if self.kind is ShiftKind.CANARY else ceil(100 / self.size)

    @model_validator(mode="after")
    def _possible(self) -> "TrafficShift":
        if self.kind in _SIZES and not _SIZES[self.kind][0] <= self.size <= _SIZES[self.kind][1]:
            least, most = _SIZES[self.kind]
            raise ValueError(f"size of a {self.kind.value} shift is {least} to {most} percent")
        if self.steps * self.wait >= self.timeout:
            raise ValueError(f"timeout must be longer than all waits together: {self.steps} times {self.wait}")
        return self
