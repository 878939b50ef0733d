"""The live shadow bench: what it keeps of an endpoint between two turns, and what it says when it is asked.

A *turn* is one moment of the grid of `training.bench.period` in the data's time. At each turn the rows that came since the
last one are scored by the fit of that one, and all members of the recipe are fitted anew on the labels that have arrived.
"""

from pydantic import Field

from contracts.alarm import Alarm
from contracts.base import Contract, EndpointName, Sha256, Text, Utc
from contracts.evaluation import Evidence, Judgement
from contracts.fleet import EndpointPolicy
from contracts.snapshot import Snapshot, Window
from contracts.training import Challenger, Tags


class BenchFit(Contract):
    """All members of the recipe in one artifact, fitted at one turn; it scores the rows that follow, up to the next fit."""

    as_of: Utc
    challenger: Challenger | None = None
    """Its `artifact_uri` lasts as long as the record names the fit. None where nothing could be fitted."""
    reason: Text = ""
    """Why nothing could be fitted."""


class BenchPart(Contract):
    """Rows of the record in one file that never changes: what each member and the champion said of them. No labels: these are
    joined as they were known at the moment of a decision.
    """

    uri: str
    sha256: Sha256
    window: Window
    """Event times of its rows."""
    rows: int = Field(ge=0)
    fitted_as_of: Utc | None
    """The fit that scored them; None where there was none, so that only the champion's say is in it."""
    fit: Sha256 | None = None
    """Digest of that fit's artifact."""
    added: Utc
    """The turn that added it: late labels bring rows of older periods."""


class Shift(Contract):
    """What a recalibration wants in service."""

    on: bool
    shift: tuple[float, ...]
    """Added to the margins: one number, or one for each class."""
    gain: float
    """Relative gain of its own prequential record."""
    changed: bool
    """Whether it differs from the one in service by enough to act."""


class BenchAdvice(Contract):
    """What the record says as of a moment: the live form of `policies.prequential.Advice`."""

    endpoint: EndpointName
    as_of: Utc
    blend: str
    """The blend that would serve best ..."""
    members: tuple[str, ...]
    """... and its members, as the recipe spells them."""
    losses: dict[str, float] = Field(default_factory=dict)
    """Prequential loss of each blend; empty while there is too little."""
    judgement: Judgement | None = None
    """Blend against champion; None where there was nothing to judge, and `reason` says why."""
    reason: str = ""
    refit: Shift
    """The shift that a refit of the blend would ship with."""
    recalibration: Shift | None = None
    """What the champion's shift should be; None without a champion."""
    champion: Sha256 | None = None
    """The model in service, as the manifest named it."""
    champion_trained_through: Utc | None = None
    weeks_since_promotion: float | None = None
    """As the gate was told: recalibrations don't count, and the first champion was never promoted."""
    judged: BenchFit | None = None
    """The newest fit of all members, which scores live requests in the place of what was judged; None before the first turn."""
    evidence: Evidence | None = None
    """The paired scores that the judgement rests on; kept where the request names an incident."""
    rows: int = 0
    """Rows of the record that were looked at."""
    parts: tuple[BenchPart, ...] = ()
    """The files of the record that they lie in."""


class BenchTurn(Contract):
    """One turn, for people and for the record."""

    as_of: Utc
    blend: str = ""
    losses: dict[str, float] = Field(default_factory=dict)
    sentence: Text = ""
    """What was found, or why nothing was."""
    verdict: str = ""
    """The gate's, or empty where nothing was judged."""
    relative_gain: float | None = None
    t: float | None = None
    rows: int = 0
    """Rows that this turn added to the record."""
    fit: Sha256 | None = None
    seconds: float = 0.0
    cost_usd: float = 0.0
    recalibration: Shift | None = None
    alarm: Alarm | None = None
    """What the verdict calls for."""
    raised: bool = False
    """Whether the bridge took it; an alarm that it didn't is sent again at the next turn."""


class BenchState(Contract):
    """The record of one endpoint between two turns. Each change writes the next revision."""

    endpoint: EndpointName
    revision: int = Field(default=0, ge=0)
    """0 before the first one is written."""
    key: str = ""
    """Idempotency key of the write that made this revision."""
    settings: str = ""
    """Digest of what the record is a record of: recipe, features, task, table, period. Another one starts a new record."""
    advised_from: Utc | None = None
    """Turns before this one only warm the record up; they are not judged."""
    reached: Utc | None = None
    """The last turn that was done."""
    dataset: Sha256 | None = None
    """Content of the labelled rows at that turn: where it is the same again, nothing new has become known."""
    fits: tuple[BenchFit, ...] = ()
    """In order of time; those that may still meet rows of their period whose label comes late."""
    parts: tuple[BenchPart, ...] = ()
    blend: str = ""
    """The chosen one, which is left only for a better one."""
    champion: Sha256 | None = None
    """The model that `recalibrating` speaks of, before any recalibration."""
    recalibrating: bool = False
    """Whether that model's recalibration is on; it turns off at another gain than on."""
    refit_recalibrating: bool = False
    """The same for a refit of the blend, should it be promoted."""
    turns: tuple[BenchTurn, ...] = Field(default=(), max_length=60)
    """The last ones, the newest last."""


class BenchRequest(Contract):
    """Start of one run of the bench's workflow."""

    endpoint: EndpointName
    policy: EndpointPolicy


class BenchPlan(Contract):
    """What a run has to do."""

    due: tuple[Utc, ...] = ()
    """Turns in order, the oldest first; no more than one run may do."""
    later: int = 0
    """Turns that are due as well and have to wait for the next run."""
    advised_from: Utc | None = None
    reached: Utc | None = None
    settings: str = ""
    unraised: Alarm | None = None
    """The last turn's alarm, where the bridge has not taken it yet."""
    champion: Sha256 | None = None
    sentence: str = ""


class ScorePeriod(Contract):
    """Bring the record up to the snapshot's moment: rows without a score get that of their period's fit."""

    key: str
    endpoint: EndpointName
    policy: EndpointPolicy
    snapshot: Snapshot
    tags: Tags | None = None


class PeriodScored(Contract):
    """What the record gained."""

    rows: int
    revision: int
    news: bool
    """Whether anything has become known since the last turn."""


class AdviseBench(Contract):
    """Ask for the record's advice as of the snapshot's moment. Its window reaches back as far as `policies.bench_turns.horizons`
    says. It may be asked at any moment and changes nothing: rows since the last turn are scored by the newest fit.
    """

    endpoint: EndpointName
    policy: EndpointPolicy
    snapshot: Snapshot
    incident: str = ""
    """Under which the paired scores are kept as evidence; empty keeps none."""


class KeepTurn(Contract):
    """The end of a turn: the fit lasts, and the record says what was found."""

    key: str
    endpoint: EndpointName
    policy: EndpointPolicy
    as_of: Utc
    dataset: Sha256
    fit: BenchFit | None
    """Its artifact still lies with the training job. None where nothing new had become known, so that the last fit stays."""
    advice: BenchAdvice | None
    rows: int
    advised_from: Utc
    seconds: float = 0.0
    cost_usd: float = 0.0
    final: bool
    """The newest turn that is due: only its verdict calls for an alarm, an older one's would be late."""


class RaiseAlarm(Contract):
    """Hand a turn's alarm to the bridge and note that it was taken."""

    key: str
    endpoint: EndpointName
    alarm: Alarm


class AlarmTaken(Contract):
    taken: bool
    """False where the bridge refused it for good."""


class BenchReport(Contract):
    """How a run ended."""

    endpoint: EndpointName
    turns: tuple[BenchTurn, ...] = ()
    later: int = 0
    raised: tuple[str, ...] = ()
    """Ids of the alarms that the bridge took."""
    sentence: str


class BenchStatus(Contract):
    """Answer of the workflow's `status` query."""

    endpoint: EndpointName
    stage: str
    turn: Utc | None = None
    """The one under way."""
    left: int = 0
    sentence: str = ""
    turns: tuple[BenchTurn, ...] = ()
    since: Utc
