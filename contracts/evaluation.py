"""Champion against challenger on the same rows, and the gate's verdict."""

from datetime import timedelta
from enum import StrEnum
from typing import Literal

from pydantic import Field

from contracts.base import Contract, Declared, Duration, EndpointName, Sha256, Utc
from contracts.snapshot import DataPolicy, Snapshot, Window
from contracts.training import Challenger, ModelCard


class Verdict(StrEnum):
    PROMOTE = "promote"
    REGRESS = "regress"
    INCONCLUSIVE = "inconclusive"


class GateKind(StrEnum):
    REFRESH = "refresh"
    """The challenger saw newer data: a positive expectation is enough."""
    STRICT = "strict"
    """Same data, another seed or setting: chance has to be ruled out."""


GuardedMetric = Literal["brier", "accuracy", "recall", "auc", "calibration_error", "worst_day_log_loss", "log_loss"]

_MARGINS: dict[GuardedMetric, float] = {
    "accuracy": 0.02,
    "recall": 0.05,
    "worst_day_log_loss": 0.25,
    "calibration_error": 0.05,
}


class Thresholds(Declared):
    """What a challenger must reach: relative gains (0.01 = 1 %) and the day-block t of the primary metric."""

    log_loss_gain: float = Field(default=0.01, ge=0)
    brier_gain: float = Field(default=0.005, ge=0)
    t: float = Field(default=1.0, ge=0)


class GatePolicy(Declared):
    """Declared before looking, and written into every record."""

    primary: str = Field(default="log_loss", pattern=r"^(log_loss|brier)$")
    holdout: Duration = timedelta(days=14)
    min_rows: int = Field(default=100, ge=1)
    min_days: int = Field(default=10, ge=2)
    min_class_rows: int = Field(default=10, ge=1)
    """Rows of each class that the comparison needs."""
    newer_data: Duration = timedelta(days=14)
    """From how much newer training data on a challenger counts as a refresh."""
    refresh: Thresholds = Field(default_factory=Thresholds)
    strict: Thresholds = Field(default_factory=lambda: Thresholds(log_loss_gain=0.03, brier_gain=0.015, t=3.5))
    urgency: float = Field(default=0.03, ge=0)
    """Least log-loss gain (relative) times weeks since the last promotion, for a refresh."""
    margins: dict[GuardedMetric, float] = Field(default_factory=lambda: dict(_MARGINS))
    """How much worse each guard may be, absolute. A metric that isn't listed is reported and guards nothing."""
    max_score_shift: float = Field(default=2.0, gt=0)
    """Largest population stability index between the two models' scores on replayed requests."""
    max_refit_disagreement: float = Field(default=0.25, gt=0, le=1)
    """Largest share of replayed requests that the refit may decide differently from the judged model."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    resamples: int = Field(default=2000, ge=200, le=20000)
    seed: int = 20240229


class Comparison(Contract):
    """One metric of both models on the same rows. `gain` is positive where the challenger is better, absolute."""

    metric: str
    champion: float
    challenger: float
    gain: float
    low: float
    """Lower end of the day-block bootstrap interval of the gain, level 1 - alpha."""
    high: float
    margin: float | None = None
    """A guard may be worse by this much; None on the primary and on what is only reported."""
    held: bool = True
    """False where the guard is worse by more than its margin."""


class EvaluateChallenger(Contract):
    """Score champion and challenger on the holdout and on replayed live requests; keep the predictions."""

    key: str
    endpoint: EndpointName
    incident: str
    snapshot: Snapshot
    champion: ModelCard | None
    """None at the first promotion: the challenger is then held against the constant base rate."""
    challenger: Challenger
    """The judged fit: it saw nothing of the holdout."""
    refit: Challenger
    """The same recipe on all labels that have arrived: what would ship."""
    threshold: float
    data: DataPolicy


class Evidence(Contract):
    """Predictions of both models on the same rows, kept as files so that the verdict can be recomputed."""

    uri: str
    digest: Sha256
    """Covers the predictions of holdout and replay and what they were made from; a decision names it."""
    holdout_rows: int
    replay_rows: int
    replay_labelled: int
    compared: Window
    """Part of the holdout that neither model was trained on."""
    champion: Sha256 | None
    challenger: Sha256
    refit: Sha256 | None = None


class RefitReport(Contract):
    """Whether what ships is still what was judged."""

    agrees: bool
    rows: int
    disagreement: float
    score_shift: float
    sentence: str


class JudgeEvidence(Contract):
    """Ask the gate for its verdict."""

    key: str
    endpoint: EndpointName
    incident: str
    evidence: Evidence
    gate: GatePolicy
    threshold: float
    champion_trained_through: Utc | None
    challenger_trained_through: Utc
    """Of the judged fit: whether it saw newer data than the champion decides between the refresh and the strict gate."""
    weeks_since_promotion: float | None
    """None where nothing was promoted yet."""
    snapshot: Snapshot
    alarms: tuple[str, ...] = ()
    """What the alarms said, for the report."""


class Judgement(Contract):
    """The gate's verdict with everything it rests on."""

    verdict: Verdict
    kind: GateKind
    sentence: str
    """The verdict in one sentence, as people read it in the notice."""
    reasons: tuple[str, ...]
    primary: str
    t: float
    """Day-block t statistic of the primary metric's gain."""
    relative_gain: float
    """Log-loss gain as a share of the champion's log loss."""
    rows: int
    days: int
    comparisons: tuple[Comparison, ...]
    replay: tuple[Comparison, ...] = ()
    """The same metrics on labelled replayed live requests, where there are enough."""
    stability: dict[str, float] = Field(default_factory=dict)
    """harmful_flips, beneficial_flips (shares of holdout rows), replay_disagreement, replay_score_shift."""
    evidence: Sha256
    report_uri: str = ""
    """Link that a person can open."""
    policy: GatePolicy
    refit: RefitReport | None = None

    def metric(self, name: str) -> Comparison | None:
        return next((c for c in self.comparisons if c.metric == name), None)
