"""History in periods: what a backtest is fed, in the order of time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learning.rows import Floats, Times, microseconds, moment_of

NEVER = int(np.iinfo(np.int64).max)
"""Label time of a label that never arrives."""


@dataclass(frozen=True)
class Period:
    """Rows with start <= event time < end; there may be none. The first period of a source is the first window."""

    start: datetime
    end: datetime
    event_time: Times
    """Microseconds since 1970, shape (n,), in any order."""
    known_at: Times
    """When the label arrives; NEVER where it doesn't."""
    features: Floats
    """Shape (n, k), NaN for a missing value."""
    label: Floats
    """NaN where there is none."""
    slices: Floats | None = None
    """Numbers of the values by which the arms are compared, too, shape (n, m)."""

    def __post_init__(self) -> None:
        if not len(self.event_time) == len(self.known_at) == len(self.features) == len(self.label):
            raise ValueError(f"the period from {self.start} has arrays of several lengths")

    def __len__(self) -> int:
        return len(self.event_time)

    def between(self, start: datetime, end: datetime) -> "Period":
        """The rows of a part of it."""
        rows: NDArray[np.bool_] = (self.event_time >= microseconds(start)) & (self.event_time < microseconds(end))
        sliced = None if self.slices is None else self.slices[rows]
        return Period(start, end, self.event_time[rows], self.known_at[rows], self.features[rows], self.label[rows], sliced)


class Source(Protocol):
    """Where periods come from: a table in memory, or files that are read piece by piece."""

    def periods(self) -> Iterator[Period]:
        """The first window, then one period after the other, also those without rows."""
        ...


@dataclass(frozen=True)
class Table:
    """A source in memory."""

    event_time: Times
    known_at: Times
    features: Floats
    label: Floats
    first_window: timedelta
    period: timedelta

    def periods(self) -> Iterator[Period]:
        """The last one may reach beyond the newest row: every row is played."""
        if not len(self.event_time):
            return
        begin = moment_of(int(self.event_time.min()))
        last = int(self.event_time.max())
        start, end = begin, begin + self.first_window
        whole = Period(begin, begin, self.event_time, self.known_at, self.features, self.label)
        while microseconds(start) <= last:
            yield whole.between(start, end)
            start, end = end, end + self.period
