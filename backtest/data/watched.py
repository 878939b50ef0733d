"""Looks at what is played, period by period: values that the first window never had, periods with one class or no rows."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np

from backtest.data.reading import Material
from backtest.periods import Period
from contracts.training import Task
from learning.rows import Floats

_FAR = 10.0


class _Periods(Protocol):
    def periods(self) -> Iterator[Period]: ...


@dataclass
class FeatureWatch:
    """One feature after the first window, held against it."""

    far_outside: int = 0
    """Values further out than ten times the first window's range."""
    negative: int = 0
    """Negative values where the first window had none."""
    unseen: int = 0
    """Rows with a category that the first window did not have."""
    constant: bool = False
    """One value, or none, in the whole history."""
    emptied_in: int = 0
    """Periods with rows in which it is missing everywhere, though the first window had it."""


@dataclass
class Watched:
    """A source that counts while it hands on."""

    source: _Periods
    material: Material
    counts: Counter[str] = field(default_factory=Counter)
    features: dict[str, FeatureWatch] = field(default_factory=dict)
    one_class: list[datetime] = field(default_factory=list)
    """Beginnings of the periods in which all labels are the same."""
    empty: list[datetime] = field(default_factory=list)

    def periods(self) -> Iterator[Period]:
        first: Period | None = None
        for period in self.source.periods():
            if first is None:
                first = period
                self._begin(first)
            else:
                self._look(period)
            self._count(period, first=period is first)
            yield period

    def _begin(self, first: Period) -> None:
        names = self.material.columns.features
        self._codes = [name in self.material.columns.categorical for name in names]
        self.features = {name: FeatureWatch() for name in names}
        self._low, self._high = _range(first.features)
        self._all_low, self._all_high = self._low.copy(), self._high.copy()
        self._seen = [set(np.unique(first.features[:, at]).tolist()) if code else set() for at, code in enumerate(self._codes)]

    def _look(self, period: Period) -> None:
        if not len(period):
            return
        low, high = _range(period.features)
        self._all_low, self._all_high = np.fmin(self._all_low, low), np.fmax(self._all_high, high)
        reach = _FAR * (self._high - self._low)
        with np.errstate(invalid="ignore"):
            far = ((period.features > self._high + reach) | (period.features < self._low - reach)).sum(axis=0)
            negative = ((period.features < 0) & (self._low >= 0)).sum(axis=0)
        for at, watch in enumerate(self.features.values()):
            if self._codes[at]:
                watch.unseen += self._unseen(period.features[:, at], self._seen[at])
                continue
            watch.far_outside += int(far[at])
            watch.negative += int(negative[at])
            watch.emptied_in += bool(np.isnan(low[at]) and not np.isnan(self._low[at]))

    def _unseen(self, column: Floats, seen: set[float]) -> int:
        values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
        return int(sum(count for value, count in zip(values.tolist(), counts.tolist(), strict=True) if value not in seen))

    def _count(self, period: Period, *, first: bool) -> None:
        label = period.label[~np.isnan(period.label)]
        self.counts["rows_played"] += len(period)
        self.counts["labels_missing"] += len(period) - len(label)
        self.counts["rows_in_first_window"] += len(period) if first else 0
        if not len(period):
            self.empty.append(period.start)
        elif len(label) and self.material.card.task is not Task.REGRESSION and label.min() == label.max():
            self.one_class.append(period.start)

    def finish(self) -> dict[str, FeatureWatch]:
        """After the last period."""
        for at, watch in enumerate(self.features.values()):
            low, high = self._all_low[at], self._all_high[at]
            watch.constant = bool(np.isnan(low) or low == high)
        return self.features


def _range(matrix: Floats) -> tuple[Floats, Floats]:
    """Least and greatest of each column, NaN where it has none, shape (k,)."""
    if not len(matrix):
        return np.full(matrix.shape[1], np.nan), np.full(matrix.shape[1], np.nan)
    return np.fmin.reduce(matrix, axis=0), np.fmax.reduce(matrix, axis=0)
