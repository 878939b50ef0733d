"""Incidents: the alarms about one endpoint that belong together, and the work on them."""

from enum import StrEnum

from pydantic import Field

from contracts.alarm import Alarm, QuarantinedSignal, Severity
from contracts.base import Contract, EndpointName, Sha256, Utc
from contracts.delivery import Untold
from contracts.evaluation import Judgement
from contracts.fleet import EndpointPolicy
from contracts.notices import Told
from contracts.review import Asked, Counted, RefusedDecision, Resolution, ReviewOutcome
from contracts.training import Challenger


class Stage(StrEnum):
    SNAPSHOT = "snapshot"
    DEFERRED = "deferred"
    TRAIN = "train"
    EVALUATE = "evaluate"
    GATE = "gate"
    REVIEW = "review"
    PROMOTE = "promote"
    RECALIBRATE = "recalibrate"
    BAKE = "bake"
    WATCH = "watch"
    ROLLBACK = "rollback"
    CLEANUP = "cleanup"
    CLOSED = "closed"


class WaitingOn(StrEnum):
    NOTHING = "nothing"
    TRAINING = "training"
    PERSON = "person"
    LABELS = "labels"
    CLOCK = "clock"


class Outcome(StrEnum):
    """How an incident ended."""

    PROMOTED = "promoted"
    RECALIBRATED = "recalibrated"
    """The champion serves on with another shift: no promotion, and none of its budget."""
    HELD = "held"
    """A person, or the declared default, kept the champion."""
    EXPIRED = "expired"
    """Nobody answered in time; the declared default was to keep the champion."""
    VOIDED = "voided"
    """The evidence no longer held before people had decided."""
    HEALED = "healed"
    """The alarms cleared before people had decided."""
    ROLLED_BACK = "rolled_back"
    SHADOWED = "shadowed"
    """Decided and recorded, and nothing done: the endpoint's mode is shadow."""
    SHORT_OF_DATA = "short_of_data"
    BROKEN_DATA = "broken_data"
    """The window can't be right, so nothing was trained on it."""
    FAILED = "failed"
    CANCELLED = "cancelled"


class AlarmFate(StrEnum):
    """What became of an alarm: each ends in exactly one."""

    OPENED = "opened"
    JOINED = "joined"
    ABSORBED = "absorbed"
    DUPLICATE = "duplicate"
    CLEARED = "cleared"
    """Its detector took it back before it was judged."""


class AlarmRecord(Contract):
    """An alarm's id with its fate."""

    id: str
    fate: AlarmFate
    reason: str = ""
    incident: str = ""


class RemediationRequest(Contract):
    """Start of a remediation. `alarms` are those that opened it."""

    endpoint: EndpointName
    incident: str
    alarms: tuple[Alarm, ...] = Field(min_length=1)
    policy: EndpointPolicy
    promotion_tokens: float
    weeks_since_promotion: float | None
    trace: str | None = None
    strict_looks: int = 0
    """How often the strict gate has compared a rival with the present champion before."""
    rules: int = 0
    """Of the review: from 1 on somebody has to vouch for a decision, and what it rests on is looked at again. A remediation
    that began under older rules ends under them."""

    @property
    def severity(self) -> Severity:
        return max((a.severity for a in self.alarms), key=lambda s: s.rank)


class IncidentReport(Contract):
    """What a remediation hands back to its lifecycle."""

    endpoint: EndpointName
    incident: str
    outcome: Outcome
    as_of: Utc
    sentence: str
    judgement: Judgement | None = None
    review: ReviewOutcome | None = None
    champion: Sha256 | None = None
    """Champion at the end, where it changed."""
    former: Sha256 | None = None
    promoted: bool = False
    automatic: bool = False
    """Promoted without a person."""
    recalibrated: bool = False
    """The champion got another shift, whatever came after."""
    cost_usd: float = 0.0


class RemediationStatus(Contract):
    """Answer of the remediation's `status` query."""

    endpoint: EndpointName
    incident: str
    stage: Stage
    waiting_on: WaitingOn
    since: Utc
    alarms: tuple[str, ...]
    evidence: Sha256 | None = None
    judgement: Judgement | None = None
    challenger: Challenger | None = None
    review_deadline: Utc | None = None
    review: ReviewOutcome | None = None
    refused: tuple[RefusedDecision, ...] = ()
    quarantine: tuple[QuarantinedSignal, ...] = ()
    untold: tuple[Untold, ...] = ()
    """Notices that a channel hasn't taken so far, or never will."""
    sentence: str = ""
    asked: Asked | None = None
    reviewers: tuple[str, ...] = ()
    """Who may decide now, by the present policy; empty: anybody."""
    decisions: tuple[Counted, ...] = ()
    """Those that have counted so far."""
    missing: str = ""
    """Who has to approve besides, in words."""
    told: tuple[Told, ...] = ()


class IncidentSummary(Contract):
    """One line of an endpoint's history."""

    incident: str
    outcome: Outcome
    as_of: Utc
    sentence: str
    promoted: bool = False
    automatic: bool = False
    reviewed: Resolution | None = None


class OpenIncident(Contract):
    """The incident that is open now."""

    incident: str
    workflow_id: str
    as_of: Utc
    severity: Severity
    started: Utc


class Pause(Contract):
    """Who paused the endpoint and why; alarms are kept until it is resumed."""

    by: str
    reason: str
    at: Utc


class DetectorEnd(Contract):
    """Up to when a detector has taken back what it said."""

    detector: str
    """Hashed, as `LifecycleState.seen` is."""
    at: Utc


class LifecycleState(Contract):
    """All that a lifecycle hands to its next run."""

    endpoint: EndpointName
    policy: EndpointPolicy | None = None
    """None until the first `configure`: alarms wait."""
    paused: Pause | None = None
    open: OpenIncident | None = None
    pending: tuple[Alarm, ...] = ()
    """Alarms that were not judged yet."""
    recent: tuple[AlarmRecord, ...] = ()
    """The last fates, newest last."""
    seen: tuple[str, ...] = ()
    """Ids of alarms, hashed, the last 1,000, so that a repeated one is known across runs."""
    ended: tuple[DetectorEnd, ...] = ()
    """The detectors that last said so, at most 200: an alarm that arrives after its end opens nothing."""
    counts: dict[str, int] = Field(default_factory=dict)
    """Alarms by fate, plus 'quarantined' signals, over the endpoint's life."""
    outcomes: dict[str, int] = Field(default_factory=dict)
    """Closed incidents by outcome, plus 'rollback_done' and 'rollback_failed' for operators' rollbacks."""
    quarantine: tuple[QuarantinedSignal, ...] = ()
    refused: tuple[RefusedDecision, ...] = ()
    """The last decisions that did not count, newest last ..."""
    refusals: int = 0
    """... and how many there were over the endpoint's life."""
    history: tuple[IncidentSummary, ...] = ()
    """The last incidents, newest last."""
    cool_until: Utc | None = None
    tokens: float | None = None
    tokens_as_of: Utc | None = None
    promoted_as_of: Utc | None = None
    strict_looks: int = 0
    """Comparisons at the strict gate since the champion last changed: each makes the next one stricter."""


class LifecycleStatus(Contract):
    """Answer of the lifecycle's `status` query."""

    state: LifecycleState
    stage: str
    """'idle', 'debounce', 'paused', 'unconfigured', 'incident' or 'rollback'."""
    rolling_back: str | None = None


class RollbackRequest(Contract):
    """An operator's `rollback`."""

    by: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=2000)


class Accepted(Contract):
    """Answer of an accepted update: the workflow to watch, if there is one."""

    workflow_id: str = ""
    message: str = ""


class RollbackReport(Contract):
    """How an operator's rollback ended."""

    endpoint: EndpointName
    done: bool
    champion: Sha256 | None = None
    sentence: str


class StartRollback(Contract):
    """Start of an operator's rollback."""

    endpoint: EndpointName
    policy: EndpointPolicy
    by: str
    reason: str


class PauseRequest(Contract):
    """An operator's `pause`."""

    by: str = Field(min_length=1, max_length=200)
    reason: str = Field(default="", max_length=2000)


class ResumeRequest(Contract):
    """An operator's `resume`."""

    by: str = Field(min_length=1, max_length=200)
    reason: str = Field(default="", max_length=2000)
