"""Champion against challenger on the same rows, and the gate's verdict."""

from datetime import timedelta
from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from contracts.base import Contract, Declared, Duration, EndpointName, Sha256, Utc
from contracts.comparison import Estimate, Power, SliceComparison
from contracts.snapshot import DataPolicy, Snapshot, Window
from contracts.training import Challenger, ModelCard, Tags, Task


class Verdict(StrEnum):
    PROMOTE = "promote"
    REGRESS = "regress"
    INCONCLUSIVE = "inconclusive"


class GateKind(StrEnum):
    REFRESH = "refresh"
    """The challenger saw newer data: a positive expectation is enough."""
    STRICT = "strict"
    """Same data, another seed or setting: chance has to be ruled out."""


class Rule(StrEnum):
    """What "better" means."""

    PRIMARY = "primary"
    """The primary metric is better by the least effect; the guards are not worse by more than their margin."""
    ALL_BETTER = "all_better"
    """On top of that accuracy, recall and stability each have to improve (`policies/unanimity.py` says what that means)."""


GuardedMetric = Literal[
    "brier",
    "accuracy",
    "recall",
    "auc",
    "calibration_error",
    "worst_day_log_loss",
    "log_loss",
    "macro_recall",
    "macro_auc",
    "squared_error",
    "rmse",
    "absolute_error",
    "bias",
    "explained",
    "worst_day_squared_error",
]

PROPER_SCORES: dict[Task, tuple[str, ...]] = {
    Task.BINARY: ("log_loss", "brier"),
    Task.MULTICLASS: ("log_loss", "brier"),
    Task.REGRESSION: ("squared_error", "absolute_error"),
}
"""What may be the primary metric of a task: first the one that it is unless the fleet file says otherwise."""

_MARGINS: dict[GuardedMetric, float] = {
    "accuracy": 0.02,
    "recall": 0.05,
    "macro_recall": 0.05,
    "worst_day_log_loss": 0.25,
    "calibration_error": 0.05,
    "absolute_error": 0.02,
    "bias": 0.05,
    "worst_day_squared_error": 0.25,
}


class Thresholds(Declared):
    """What a challenger must reach: relative gains (0.01 = 1 %) and the day-block t of the primary metric."""

    log_loss_gain: float = Field(default=0.01, ge=0)
    """In a regression, of the squared error."""
    brier_gain: float = Field(default=0.005, ge=0)
    """Not asked of a regression."""
    t: float = Field(default=1.0, ge=0)


class GatePolicy(Declared):
    """Declared before looking, and written into every record."""

    primary: str = Field(default="log_loss", pattern=r"^(log_loss|brier|squared_error|absolute_error)$")
    """A proper score of the task; a regression whose fleet file says nothing takes the squared error."""
    rule: Rule = Rule.PRIMARY
    dry: tuple[GuardedMetric, ...] = ()
    """Metrics that run dry: compared and reported, but they can't decide."""
    block: Literal["day", "week"] = "day"
    """Rows of one block rise and fall together; t and intervals count blocks, not rows."""
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
    """How much worse each guard may be, absolute. A metric that isn't listed is reported and guards nothing.

    Those of a regression are shares: of the champion's figure, for `bias` and `explained` of the labels' standard deviation
    and of 1.
    """
    guards: Literal["point", "proven"] = "point"
    """A guard holds by its point estimate, or only where its whole interval lies within the margin: that takes more rows."""
    slice_margin: float = Field(default=0.1, gt=0)
    """How much worse the primary may be in any slice, as a share of the champion's figure over all rows."""
    min_slice_rows: int = Field(default=100, ge=2)
    min_slice_days: int = Field(default=5, ge=2)
    """A slice with fewer rows or days is listed as not evaluable."""
    max_slices: int = Field(default=200, ge=1)
    """So many slices are listed, those with the worst gain first; the rest is counted."""
    min_weeks: int = Field(default=6, ge=3)
    """From so many weeks on, intervals of week blocks stand beside those of day blocks."""
    power: float = Field(default=0.8, gt=0.5, lt=1)
    """The probability for which the smallest detectable gain is shown."""
    churn_noise: float = Field(default=0.1, ge=0)
    """In a regression a row counts as better or worse when its error changes by this share of the champion's RMSE."""
    max_score_shift: float = Field(default=2.0, gt=0)
    """Largest population stability index on replayed requests: challenger against champion, and refit against judged model."""
    max_refit_disagreement: float = Field(default=0.25, gt=0, le=1)
    """Largest share of replayed requests that the refit may decide differently from the judged model."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    resamples: int = Field(default=2000, ge=200, le=20000)
    seed: int = 20240229

    @model_validator(mode="after")
    def _primary_decides(self) -> "GatePolicy":
        if self.primary in self.dry:
            raise ValueError(f"dry names the primary metric {self.primary}: then nothing could decide; name another primary")
        return self


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
    dry: bool = False
    """Reported only, as the policy declared."""


class EvaluateChallenger(Contract):
    """Score champion and challenger on the holdout and on replayed live requests; keep the predictions."""

    key: str
    endpoint: EndpointName
    incident: str
    snapshot: Snapshot
    champion: ModelCard | None
    """None at the first promotion: the challenger is then held against its baseline, which is the same for every row."""
    challenger: Challenger
    """The judged fit: it saw nothing of the holdout."""
    refit: Challenger
    """The same recipe on all labels that have arrived: what would ship."""
    threshold: float
    data: DataPolicy
    tags: Tags | None = None


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
    champion: Sha256 | None = None
    """None for a first champion, which is held against a baseline. Records leave out what is None."""
    challenger: Sha256
    refit: Sha256 | None = None


class RefitReport(Contract):
    """Whether what ships is still what was judged."""

    agrees: bool
    rows: int
    disagreement: float
    score_shift: float
    sentence: str


class ReportOn(Contract):
    """What the report shows beside the verdict; the verdict itself needs none of it."""

    data: DataPolicy
    """Where the rows' features come from."""
    categorical: tuple[str, ...] = ()
    period: Duration | None = None
    """Of the shadow bench, where it judged: the record is shown by such periods."""
    lineage: dict[str, str] = Field(default_factory=dict)


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
    task: Task = Task.BINARY
    classes: tuple[str, ...] = ()
    """Names of the classes of a multiclass task."""
    slices: tuple[str, ...] = ()
    """Features by whose values the models are also compared; the evidence holds them."""
    family: int = Field(default=1, ge=1)
    """Comparisons at the strict gate with the present champion, this one with them."""
    notes: tuple[str, ...] = ()
    """What else a reader of the report should know of the window."""
    report: ReportOn | None = None
    """None in requests of old."""


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
    """Log-loss gain as a share of the champion's log loss; in a regression, of the squared error."""
    rows: int
    days: int
    comparisons: tuple[Comparison, ...]
    replay: tuple[Comparison, ...] = ()
    """The same metrics on labelled replayed live requests, where there are enough."""
    stability: dict[str, float] = Field(default_factory=dict)
    """harmful_flips, beneficial_flips (shares of holdout rows), holdout_disagreement, holdout_score_shift (PSI of the
    challenger's scores on the champion's bins, all rows), replay_disagreement, replay_score_shift."""
    evidence: Sha256
    report_uri: str = ""
    """Link that a person can open."""
    policy: GatePolicy
    refit: RefitReport | None = None
    task: Task = Task.BINARY
    least_t: float | None = None
    """The t that the gate wanted, for so few blocks and so many comparisons."""
    p: float | None = None
    """Chance of so large a t if the challenger were no better: one-sided, Student's t."""
    family: int = 1
    """Strict comparisons among which this one was picked (rivals times looks); Holm divides the allowed chance by it."""
    weekly: tuple[Comparison, ...] = ()
    """The same metrics with week-block intervals: weeks depend on each other less than days. Empty for too few weeks."""
    weeks: int = 0
    """Weeks with at least one labelled row."""
    effective_blocks: int = 0
    """Blocks of equal size that say as much as the sample's: few, where one day holds most rows."""
    slices: tuple[SliceComparison, ...] = ()
    """Worst gain first, then those that are not evaluable."""
    slices_unlisted: int = 0
    """Slices beyond `policy.max_slices`: tested like the others, only not listed."""
    slices_not_evaluable: int = 0
    worst_slice_low: float | None = None
    """No evaluable slice has a gain lower than this, at the simultaneous level 1 - alpha."""
    slice_margin: float | None = None
    """The absolute margin of the slices."""
    power: Power | None = None
    estimates: tuple[Estimate, ...] = ()
    unlabelled: int = 0
    """Rows of the holdout whose label is missing."""

    def metric(self, name: str) -> Comparison | None:
        return next((c for c in self.comparisons if c.metric == name), None)
