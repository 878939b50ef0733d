"""What a detector says about an endpoint."""

from enum import StrEnum

from pydantic import Field

from contracts.base import Contract, EndpointName, Text, Utc


class AlarmKind(StrEnum):
    DATA_DRIFT = "data_drift"
    MODEL_QUALITY = "model_quality"
    BIAS = "bias"
    BUSINESS_KPI = "business_kpi"
    INFRASTRUCTURE = "infrastructure"
    IMPROVEMENT = "improvement"
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
    as_of: Utc
    severity: Severity = Severity.MEDIUM
    source: str = Field(default="unknown", max_length=200)
    message: Text = ""
    metrics: tuple[Reading, ...] = Field(default=(), max_length=50)
    anomaly_start: Utc | None = None
    anomaly_end: Utc | None = None
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)
    trace: str | None = Field(default=None, max_length=200)
    """W3C traceparent of whoever raised it, so that one trace runs from alarm to promotion."""


class QuarantinedSignal(Contract):
    """A signal that nobody could understand: kept with the reason and its head, never dropped."""

    name: str
    reason: Text
    head: str = Field(max_length=500)
    """The first characters of the payload."""
    received: Utc
