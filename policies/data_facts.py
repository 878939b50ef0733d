"""What an adapter measures of a window, day by day, so that the judgement of it stays pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from contracts.snapshot import Window
from policies.label_delay import Delays

Counts = NDArray[np.int64]
Days = NDArray[np.datetime64]


@dataclass(frozen=True)
class ColumnDays:
    """One feature by day, every array of shape (days,)."""

    name: str
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    """Least and largest finite value; NaN where the day has none."""
    missing: Counts
    impossible: Counts
    """Infinite, or beyond the declared bounds."""


@dataclass(frozen=True)
class Tally:
    """Rows by value and day: the codes of a feature, or the segments. `rows` has shape (values, days)."""

    name: str
    values: tuple[str, ...]
    rows: Counts


@dataclass(frozen=True)
class WindowFacts:
    """The rows that are known, by day; days without rows are left out."""

    window: Window
    days: Days
    rows: Counts
    repeated: Counts
    """Rows that say the same as another one of their day, word for word."""
    columns: tuple[ColumnDays, ...] = ()
    codes: tuple[Tally, ...] = ()
    segment: Tally | None = None
    hours: Mapping[int, int] = field(default_factory=dict)
    """Rows by hour since 1970, where there are any."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Features whose column holds no numbers, with its type."""
    delays: Delays | None = None
    """Of all rows that are known, as of the newest label: what the curve is drawn from."""
    waiting: Delays | None = None
    """Of the rows that coverage counts, as of the moment of the look."""
    newest_label: datetime | None = None
    young: bool = False
    """The rows begin within the window that coverage counts, so that it still fills."""

    def recent(self, span: timedelta) -> NDArray[np.bool_]:
        """Which days are among the newest."""
        start = np.datetime64((self.window.end - span).replace(tzinfo=None), "D")
        return np.asarray(self.days >= start, dtype=bool)
