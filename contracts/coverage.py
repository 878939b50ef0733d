"""What a window of rows is worth: a verdict, the findings that it rests on, and how late labels come."""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from contracts.base import Contract, Declared, Duration, Utc


class CoverageVerdict(StrEnum):
    """From best to worst."""

    SUFFICIENT = "sufficient"
    IMMATURE = "immature"
    """Too little, and waiting alone is expected to mend it."""
    SHORT = "short"
    """Too little, and waiting alone won't mend it."""
    BROKEN = "broken"
    """What is there can't be right: nothing is trained on it unless a person is asked."""

    @property
    def rank(self) -> int:
        return tuple(CoverageVerdict).index(self)


class Remedy(StrEnum):
    """What would mend a finding."""

    WAIT = "wait"
    WIDEN = "widen"
    REPAIR = "repair"
    """Only somebody who mends the data, or the policy."""


class FindingKind(StrEnum):
    ROWS = "rows"
    DAYS = "days"
    LABEL_RATE = "label_rate"
    POSITIVES = "positives"
    NEGATIVES = "negatives"
    SECOND_CLASS = "second_class"
    DISTINCT_LABELS = "distinct_labels"
    LABEL_DELAY = "label_delay"
    """Labels take longer than the policy says."""
    LABELS_STALLED = "labels_stalled"
    GAP = "gap"
    SEGMENT = "segment"
    DUPLICATES = "duplicates"
    CONSTANT = "constant"
    """The same value everywhere ..."""
    FROZEN = "frozen"
    """... or since some day, which it never was for so long."""
    EMPTY = "empty"
    MISSING_VALUES = "missing_values"
    IMPOSSIBLE = "impossible"
    UNSEEN = "unseen"
    """Codes that were not there before."""
    COLUMN_TYPE = "column_type"


class Finding(Contract):
    """One thing about a window that a person, or the gate, should know."""

    what: FindingKind
    weighs: CoverageVerdict
    """What it alone makes of the window; `sufficient`: worth telling, no more."""
    found: float
    wanted: float
    column: str | None = None
    value: str | None = None
    """Of the segment or the code."""
    start: Utc | None = None
    end: Utc | None = None
    remedies: tuple[Remedy, ...] = (Remedy.REPAIR,)
    sentence: str = ""


class DelayQuantile(Contract):
    """So large a share of all labels has arrived so long after the event."""

    share: float
    delay: Duration


class LabelDelay(Contract):
    """An endpoint's own label-delay curve; rows that still wait count as waiting, not as never labelled."""

    quantiles: tuple[DelayQuantile, ...] = ()
    ever: float = 0.0
    """Share of rows that get a label at all, as far as their ages can tell."""
    arrived: int = 0
    waiting: int = 0
    measured_at: Utc | None = None
    """Moment of the newest label."""

    def quantile(self, share: float) -> timedelta | None:
        """None where the curve doesn't reach so far."""
        return next((point.delay for point in self.quantiles if point.share >= share), None)


class OnBrokenData(StrEnum):
    END = "end"
    """Keep the champion, train nothing, say what to mend."""
    ASK = "ask"
    """Go on, but let a person decide; nobody's silence promotes."""


class Bounds(Declared):
    """What a feature's value can be at all."""

    least: float | None = None
    most: float | None = None


class QualityLimits(Declared):
    """From which point on the newest rows of a window can't be right, held against the rows before them."""

    recent: Duration = Field(default=timedelta(days=7), gt=timedelta(0))
    """The newest rows; all before them in the window are what they are held against."""
    missing_rise: float = Field(default=0.2, ge=0, le=1)
    """How much the share of missing values of a column may rise."""
    impossible: float = Field(default=0.01, ge=0, le=1)
    """Share of infinite values or of values beyond `data.bounds`."""
    unseen: float = Field(default=0.2, ge=0, le=1)
    """Share of rows with a code that was not there before."""
    duplicate_rise: float = Field(default=0.2, ge=0, le=1)
    """How much the share of rows that repeat another one word for word may rise."""
    segment_fall: float = Field(default=1.0, ge=0, le=1)
    """By how much a segment's rows may fall before the window is short; 1 lets them vanish and only tells."""
    gap: Duration | None = None
    """A longer span without rows, where the endpoint's own rhythm has some, makes a window short; none: it is only told."""
    on_broken: OnBrokenData = OnBrokenData.END
