"""The append-only record."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from contracts.base import Contract, Sha256, Utc


class AuditEvent(StrEnum):
    DECIDED = "decided"
    """Written before a promotion: no record, no promotion. In shadow mode: what would have been done."""
    CLOSED = "closed"
    """An incident's end, with everything."""
    ROLLED_BACK = "rolled_back"
    REFUSED = "refused"
    SWEPT = "swept"
    CONFIGURED = "configured"
    UNTOLD = "untold"
    """A notice that a channel never took, however long it was tried."""


class AuditEntry(Contract):
    """What is to be recorded. Appending twice under one key leaves one record."""

    key: str
    endpoint: str
    incident: str = ""
    event: AuditEvent
    at: Utc
    facts: dict[str, Any] = Field(default_factory=dict)
    """JSON: alarm, data, model, statistics, people, deployment, cost."""


class AuditRecord(Contract):
    """One link of the chain. `hash` covers every other field, `previous` included."""

    seq: int = Field(ge=1)
    entry: AuditEntry
    previous: Sha256
    hash: Sha256


class Anchor(Contract):
    """How far the chain was acknowledged; kept apart from it, so that a cut-off end is seen."""

    records: int = Field(ge=0)
    head: Sha256


class Fault(Contract):
    """One place where the chain does not hold."""

    seq: int
    what: str


class Verification(Contract):
    """Whether the chain holds and reaches its anchor."""

    records: int
    verified: bool
    faults: tuple[Fault, ...] = ()
    head: Sha256 | None = None
    notes: tuple[str, ...] = ()
    """What is unusual and still no fault, for example what a crash left behind."""
