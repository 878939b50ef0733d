"""The window of labelled rows that a remediation works on."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from contracts.base import Contract, Declared, Duration, EndpointName, Horizon, Sha256, Utc
from contracts.coverage import Bounds, CoverageVerdict, Finding, LabelDelay, QualityLimits
from contracts.training import DatasetRef, Tags, Task


class OnShortCoverage(StrEnum):
    DEFER = "defer"
    """Wait on a durable timer until enough labels are expected to have arrived, then look again."""
    WIDEN = "widen"
    """Take the next longer horizon, up to `widen_to`; where that is no help, let a person decide."""
    ASK = "ask"
    """Go on, but let a person decide."""
    END = "end"
    """Keep the champion and close the incident."""


class CoveragePolicy(Declared):
    """What a window must hold before anything is trained on it."""

    min_rows: int = Field(default=300, ge=1)
    min_days: int = Field(default=20, ge=1)
    """Days with at least one labelled row."""
    min_label_rate: float = Field(default=0.8, ge=0, le=1)
    min_positives: int = Field(default=20, ge=1)
    """Rows of each class of a binary task; of many classes the second largest: rare ones may be missing. A regression asks
    only that not every label is the same."""
    on_short: OnShortCoverage = OnShortCoverage.DEFER
    defer_for: Duration = timedelta(days=1)
    """The wait where nothing tells how long it will take; else it lasts until enough labels are expected ..."""
    defer_at_most: Duration = timedelta(days=7)
    """... but never longer than this at a time."""
    max_defers: int = Field(default=7, ge=0)
    widen_to: Horizon = timedelta(days=365)
    """The longest horizon that `on_short: widen` may take."""
    quality: QualityLimits = Field(default_factory=QualityLimits)


class DataPolicy(Declared):
    """Where an endpoint's labelled rows come from."""

    table: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")
    source: str | None = Field(
        default=None,
        max_length=1024,
        pattern=r"^((feature-group|online):[A-Za-z0-9](_*-*[A-Za-z0-9]){0,63}"
        r"|glue:[A-Za-z0-9_-]{1,255}\.[A-Za-z0-9_-]{1,255}|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()=/-]*)?)$",
    )
    """On AWS: 'feature-group:NAME' (its offline store), 'online:NAME' (live requests, joined with labels of the online store),
    'glue:DATABASE.TABLE' or 's3://bucket/prefix' (Parquet); None is the feature group that is called like the table."""
    features: tuple[str, ...] = Field(min_length=1)
    label: str
    """Name of the label column: 0 or 1, the number of a class, or any number, as the task says."""
    segment: str | None = None
    """Feature by which coverage is also counted."""
    slices: tuple[str, ...] = ()
    """Features by whose values the gate also compares the models, so that a gain on average hides no harm."""
    task: Task = Task.BINARY
    classes: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(default=(), max_length=1000)
    """Names of the classes of a multiclass task; a label is a place in this list, from 0."""
    bounds: dict[str, Bounds] = Field(default_factory=dict)
    """By feature: what its values can be at all; others are impossible and count as broken data."""
    label_delay: Duration = timedelta(days=1)
    """How long after the event a label normally arrives; also the gap between training rows and holdout."""
    coverage: CoveragePolicy = Field(default_factory=CoveragePolicy)

    @model_validator(mode="after")
    def _task_is_whole(self) -> Self:
        """Classes belong to a multiclass task alone, and slices are features."""
        if self.task is not Task.MULTICLASS and self.classes:
            raise ValueError(f"classes are named, but the task is {self.task.value}: say task: multiclass, or leave them out")
        if self.task is Task.MULTICLASS and len(self.classes) < 2:  # noqa: PLR2004 - one class leaves nothing to tell apart
            raise ValueError("a multiclass task needs classes: the names of at least two, in the order of their numbers from 0")
        for field, names in (("classes", self.classes), ("slices", self.slices)):
            if len(set(names)) < len(names):
                raise ValueError(f"{field} names one twice: {', '.join(names)}")
        if unknown := [name for name in self.slices if name not in self.features]:
            raise ValueError(f"slices names {', '.join(unknown)}, which features doesn't list")
        return self


class Window(Contract):
    """Half-open [start, end) in event time."""

    start: Utc
    end: Utc


class TakeSnapshot(Contract):
    """Freeze the rows of `data.table` as they were known at `as_of`.

    A row belongs when start <= event_time < as_of, and its label is read only when label_time <= as_of.
    """

    key: str
    endpoint: EndpointName
    data: DataPolicy
    as_of: Utc
    horizons: tuple[Horizon, ...]
    holdout: Duration
    """Newest part of the window, kept for the comparison."""
    tags: Tags
    catch_up: bool = False
    """Take the window as of the newest label instead, where that is later: a deferred snapshot looks again."""
    not_after: Utc | None = None
    """No label is newer than this, so that one mistaken time doesn't carry a catching-up look into the future."""
    until: Utc | None = None
    """End of the window, where it is held while its labels come in; None: it ends at `as_of`."""
    categorical: tuple[str, ...] = ()
    """Features that are codes."""


class Shortfall(Contract):
    """One way in which a window falls short of its policy."""

    what: str
    found: float
    wanted: float


class Coverage(Contract):
    """What the shipped recipe's shortest window holds, and whether that is enough."""

    rows: int = 0
    labelled: int = 0
    days: int = 0
    label_rate: float = 0.0
    positives: int = 0
    """Labelled rows with label 1 of a binary task ..."""
    negatives: int = 0
    """... and with label 0."""
    classes: dict[str, int] = Field(default_factory=dict)
    """Labelled rows of each class of a multiclass task, by its name."""
    spread: float | None = None
    """Standard deviation of a regression's labels; None without labels ..."""
    distinct: int = 0
    """... and how many of them differ."""
    segments: dict[str, int] = Field(default_factory=dict)
    """Labelled rows per segment value, the 50 largest."""
    short: tuple[Shortfall, ...] = ()
    verdict: CoverageVerdict | None = None
    """None in the record of an earlier release."""
    findings: tuple[Finding, ...] = ()
    """The gravest first, so many at most that a record stays small."""
    maturity: float | None = None
    """Of all labels that are expected ever to come to these rows, the share that has arrived."""
    mature_at: Utc | None = None
    """Data time at which enough labels are expected; None where enough are there, or nothing tells."""
    label_delay: LabelDelay | None = None
    window: Window | None = None
    """The rows that were looked at."""

    @property
    def sufficient(self) -> bool:
        return not self.short if self.verdict is None else self.verdict is CoverageVerdict.SUFFICIENT

    @property
    def broken(self) -> bool:
        return self.verdict is CoverageVerdict.BROKEN


class Retrieval(Contract):
    """How the rows were fetched from a service, and what that took."""

    source: str
    engine: str
    """What ran the query: 'athena'; 'duckdb' where files were read."""
    query_id: str = ""
    scanned_bytes: int = 0
    cost_usd: float = 0.0


class Snapshot(Contract):
    """The frozen rows, with what an auditor needs to take them again."""

    dataset: DatasetRef
    query: str
    """The retrieval query, with its bounds, as it was run."""
    as_of: Utc
    window: Window
    cut: Utc
    """End of the rows that the judged challenger may train on; the holdout begins one label delay later."""
    holdout: Window
    coverage: Coverage
    fingerprint: Sha256
    """Content hash of the labelled rows; equals dataset.sha256."""
    retrieval: Retrieval | None = None
    """None where the rows lay in the platform's own files."""
