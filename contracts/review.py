"""The wait for people."""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from contracts.base import Contract, Declared, Duration, EndpointName, Sha256, Text, Utc
from contracts.evaluation import Verdict


class Default(StrEnum):
    KEEP = "keep"
    """Nobody answered: the champion stays."""
    PROMOTE = "promote"


class ReviewPolicy(Declared):
    """Who is asked, when, and what happens when nobody answers."""

    reviewers: tuple[str, ...] = ()
    """Who may decide; empty lets anybody decide, and the record says that no list was declared."""
    ask_on: tuple[Verdict, ...] = (Verdict.REGRESS, Verdict.INCONCLUSIVE)
    timeout: Duration = timedelta(hours=24)
    remind_after: Duration = timedelta(hours=8)
    default: Default = Default.KEEP


class Decision(Declared):
    """What a person says. Identities are not verified here, and the record says so."""

    approve: bool
    reviewer: str = Field(min_length=1, max_length=200)
    note: Text = ""
    evidence: Sha256 | None = None
    """Digest of the evidence the reviewer saw; required by `decide`, optional in plain signals."""


class Resolution(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class ReviewOutcome(Contract):
    """How a review ended."""

    resolution: Resolution
    promote: bool
    decision: Decision | None = None
    decided_at: Utc
    identity: str = "unverified"


class RefusedDecision(Contract):
    """A decision that did not count, and why."""

    reviewer: str
    reason: str
    at: Utc


class NoticeKind(StrEnum):
    REVIEW = "review"
    REMINDER = "reminder"
    OUTCOME = "outcome"
    PAGE = "page"
    """Somebody has to get up: a rollback failed, or a promotion could not be undone."""


class Notice(Contract):
    """One message to people. Sent once per key, however often the sending is tried."""

    key: str
    kind: NoticeKind
    endpoint: EndpointName
    incident: str
    title: str
    sentence: str
    evidence: Sha256 | None = None
    diagnostics: str = ""
    """Link to the report."""
    workflow_id: str = ""
    """From which the adapter makes the Temporal UI's link."""
    commands: dict[str, str] = Field(default_factory=dict)
    """What to type to approve, reject, roll back."""
    deadline: Utc | None = None
    default: Default | None = None
    recipients: tuple[str, ...] = ()
