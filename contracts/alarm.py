"""What a detector says about an endpoint."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from contracts.base import Contract, EndpointName, Text, Utc


def _plausible(value: datetime) -> datetime:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"a time of data lies between the years {FIRST_YEAR} and {LAST_YEAR}")
    return value


FIRST_YEAR, LAST_YEAR = 1950, 2200
"""Far from the calendar's ends, so that no window reckoned from an alarm can fall off them."""

DataTime = Annotated[Utc, AfterValidator(_plausible)]


class AlarmKind(StrEnum):
    DATA_DRIFT = "data_drift"
    MODEL_QUALITY = "model_quality"
    BIAS = "bias"
    BUSINESS_KPI = "business_kpi"
    INFRASTRUCTURE = "infrastructure"
    IMPROVEMENT = "improvement"
    """A challenger would have served better: raised by the shadow bench."""
    CALIBRATION = "calibration"
    """The champion's scores run high or low, and a shift mends it: raised by the shadow bench."""
    ONBOARDING = "onboarding"
    """A person asks for the endpoint's first champion."""


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low to 3 for critical."""
        return list(Severity).index(self)


class Reading(Contract):
    """One metric of an alarm with the threshold that it crossed."""

    name: str = Field(max_length=200)
    value: float | None = None
    threshold: float | None = None
    reference: float | None = None
    """What the champion reached when it was promoted, where known."""


class Alarm(Contract):
    """One alarm. `as_of` is the time of the data it speaks of, not of its arrival."""

    id: str = Field(min_length=1, max_length=200)
    endpoint: EndpointName
    kind: AlarmKind
    as_of: DataTime
    severity: Severity = Severity.MEDIUM
    source: str = Field(default="unknown", max_length=200)
    message: Text = ""
    metrics: tuple[Reading, ...] = Field(default=(), max_length=50)
    anomaly_start: DataTime | None = None
    anomaly_end: DataTime | None = None
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)
    trace: str | None = Field(default=None, max_length=200)
    """W3C traceparent of whoever raised it, so that one trace runs from alarm to promotion."""
    detector: str = Field(default="", max_length=200)
    """What raised it, the same at every firing, where that is known: an alarm's ARN."""
    changed_at: Utc | None = None
    """When its detector came to this state, so that what arrives late can be told from what is new."""


class Cleared(Contract):
    """Its detector says that what an alarm told of has ended."""

    id: str = Field(min_length=1, max_length=200)
    """The alarm's."""
    endpoint: EndpointName
    source: str = Field(default="unknown", max_length=200)
    detector: str = Field(default="", max_length=200)
    """With `changed_at`: whatever this detector had said up to then has ended, also what arrives later."""
    changed_at: Utc | None = None


class QuarantinedSignal(Contract):
    """A signal that nobody could understand: kept with the reason and its head, never dropped."""

    name: str
    reason: Text
    head: str = Field(max_length=500)
    """The first characters of the payload."""
    received: Utc
