"""The wait for people: what is asked, who may answer, how it ended."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from contracts.alarm import Severity
from contracts.base import Contract, Declared, Duration, EndpointName, Sha256, Text, Utc
from contracts.conditions import read
from contracts.evaluation import Verdict
from contracts.notices import Channel, NoticeKind
from contracts.people import Delegation, Issuer, Name, Person, QuietHours, Quorum, Step


class Default(StrEnum):
    KEEP = "keep"
    """Nobody answered: the champion stays."""
    PROMOTE = "promote"


class Unverified(StrEnum):
    """What becomes of a decision that nobody vouches for: a bare name."""

    REFUSE = "refuse"
    ACCEPT = "accept"
    """It counts, and the record says 'unverified'."""


class Ground(StrEnum):
    """Why a person is asked although the verdict is to promote."""

    CRITICAL_TIER = "critical_tier"
    """The endpoint's tier is critical."""
    SLICE_HURT = "slice_hurt"
    """A slice is worse beyond chance, though by no more than its margin."""
    FIRST_PROMOTION = "first_promotion"
    """The endpoint has no champion yet."""


class ReviewPolicy(Declared):
    """Who is asked, when, and what happens when nobody answers."""

    reviewers: tuple[str, ...] = ()
    """Who may decide: people, `group:NAME` or `role:NAME`. Empty: whoever is in `people`; without those anybody, and the
    record says that no list was declared."""
    ask_on: tuple[Verdict, ...] = (Verdict.REGRESS, Verdict.INCONCLUSIVE)
    also_ask: tuple[Ground, ...] = (Ground.CRITICAL_TIER,)
    """When a person is asked beside the verdict. A promotion budget that is used up always asks."""
    timeout: Duration = timedelta(hours=24)
    remind_after: Duration = timedelta(hours=8)
    reminders: tuple[Duration, ...] = Field(default=(), max_length=20)
    """Further reminders, since the review was opened."""
    default: Default = Default.KEEP
    quorum: Quorum = Field(default_factory=Quorum)
    four_eyes: bool = False
    """Whoever raised an alarm of the incident by hand can't approve it."""
    escalate: tuple[Step, ...] = Field(default=(), max_length=20)
    quiet_hours: QuietHours | None = None
    delegations: tuple[Delegation, ...] = Field(default=(), max_length=100)
    unverified: Unverified = Unverified.REFUSE
    recheck_every: Duration = timedelta(hours=1)
    """How often an open review's evidence is held against what is true now; 0s: only before an approval is carried out."""
    stale_after: Duration | None = None
    """So much newer data since the review was opened voids it; None: newer data alone doesn't."""
    channels: tuple[Name, ...] = ()
    """Names of the channels that notices go to."""
    people: dict[Name, Person] = Field(default_factory=dict)
    """Declared once for all, at the top of the fleet file; so are the next three. An endpoint may add its own."""
    groups: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)
    issuers: dict[Name, Issuer] = Field(default_factory=dict)
    reach: dict[Name, Channel] = Field(default_factory=dict)
    """The file's `channels`."""


def _readable(condition: str) -> str:
    read(condition)
    return condition


class Decision(Declared):
    """What a person says. Who vouches for it lies in the decision vault, under `ticket`."""

    approve: bool
    reviewer: str = Field(min_length=1, max_length=200)
    note: Text = ""
    evidence: Sha256 | None = None
    """Digest of the evidence the reviewer saw; required by `decide`, optional in plain signals."""
    ticket: Sha256 | None = None
    """SHA-256 of the signed token in the vault; without one nobody vouches."""
    only_if: tuple[Annotated[str, AfterValidator(_readable)], ...] = Field(default=(), max_length=10)
    """Conditions of an approval (`contracts/conditions.py`), looked at once more at the moment of promotion."""

    @model_validator(mode="after")
    def _conditions_of_an_approval(self) -> "Decision":
        if self.only_if and not self.approve:
            raise ValueError("only_if: a rejection has no conditions; leave them out")
        return self


class VouchedBy(StrEnum):
    """How a decision's token was signed."""

    OWN_KEY = "own key"
    LOCAL_KEY = "local key"
    """Of the operating system's user, on the local platform only."""
    PAGE = "review page"
    """The page saw a login, or a one-time link."""
    ISSUER = "issuer"


class Vouched(Contract):
    """Who stands behind a decision, and how that is known."""

    person: str
    how: VouchedBy
    by: str = ""
    """The key's id, or the issuer."""
    login: str = ""
    """For the review page: how the person had logged in."""
    ticket: Sha256
    token_id: str = ""
    """The token's `jti`."""
    expires_at: Utc | None = None


class NotVouched(StrEnum):
    """Why a ticket vouches for nothing; also the type of the error that the caller gets."""

    UNKNOWN_TICKET = "UnknownTicket"
    FORGED = "Forged"
    """The signature, the algorithm or the form is not one that counts."""
    UNKNOWN_KEY = "UnknownKey"
    """Signed by nobody whom the policy names."""
    EXPIRED = "TicketExpired"
    NOT_YET_VALID = "NotYetValid"
    OTHER_DECISION = "OtherDecision"
    """It was signed for another endpoint, incident, evidence, answer, note, condition or reviewer."""
    UNREACHABLE = "IssuerUnreachable"
    """The issuer's keys could not be had, so that nothing is known."""


class VerifyDecision(Contract):
    """Ask who stands behind a decision."""

    endpoint: EndpointName
    incident: str
    evidence: Sha256
    decision: Decision
    people: dict[str, Person] = Field(default_factory=dict)
    issuers: dict[str, Issuer] = Field(default_factory=dict)
    at: Utc
    """When the decision came."""


class Verified(Contract):
    """The answer: vouched for, or why not. Exactly one of the two is there."""

    vouched: Vouched | None = None
    refusal: NotVouched | None = None
    reason: str = ""
    """The refusal in words, with the remedy."""


class Counted(Contract):
    """A decision that counted."""

    decision: Decision
    vouched: Vouched | None = None
    """None: unverified."""
    at: Utc
    instead_of: str = ""
    """By delegation: in whose place."""


class Resolution(StrEnum):
    PENDING = "pending"
    """It counted, and more people have to approve: an answer to a decision, never the end of a review."""
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    VOIDED = "voided"
    """The evidence no longer holds: another champion, newer evidence, newer data."""
    HEALED = "healed"
    """The incident's alarms have cleared."""
    UNMET = "unmet"
    """Approved with conditions, of which one didn't hold at the moment of promotion."""


class ReviewOutcome(Contract):
    """How a review ended; as the answer to a decision, how it stands."""

    resolution: Resolution
    promote: bool
    decision: Decision | None = None
    """The one that decided."""
    decided_at: Utc
    identity: str = "unverified"
    """How the weakest of those that counted is vouched for."""
    decisions: tuple[Counted, ...] = ()
    """Every one that counted, in order."""
    reason: str = ""
    """Why it was voided, what didn't hold, or who has to approve besides, in words."""


class Asked(Contract):
    """What was put before people, by which rules; the deadline holds even if the policy changes."""

    reasons: tuple[str, ...]
    opened: Utc
    deadline: Utc
    default: Default
    reviewers: tuple[str, ...]
    """Empty: anybody."""
    quorum: Quorum
    four_eyes: bool
    unverified: Unverified


class RefusedDecision(Contract):
    """A decision that did not count, and why."""

    reviewer: str
    reason: str
    at: Utc
    kind: str = ""
    """The refusal's type, such as 'NotAnApprover'."""
    vouched: Vouched | None = None


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
    channels: dict[str, Channel] = Field(default_factory=dict)
    """Those that it goes to, by name."""
    personal: dict[str, str] = Field(default_factory=dict)
    """Of those, by name: which person alone each reaches, and may so be sent a link of their own."""
    state: str = ""
    """What it tells of: one state is told once by each channel. The key, unless said."""
    links: dict[str, str] = Field(default_factory=dict)
    severity: Severity = Severity.MEDIUM

    @property
    def tells_of(self) -> str:
        return self.state or self.key
