"""Labelled rows in memory: what every fit learns from, in the live loop, in a backtest and in a training container."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from contracts.base import Horizon

Times = NDArray[np.int64]
Floats = NDArray[np.float64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FRESH = timedelta(days=1) // _MICROSECOND


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of a moment with a time zone."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(time: int) -> datetime:
    """The moment in UTC of so many microseconds since 1970."""
    return _EPOCH + time * _MICROSECOND


@dataclass(frozen=True)
class LabelledRows:
    """Rows whose label is known. Their order counts: a fit of the same rows in the same order gives the same bytes."""

    event_time: Times
    """Microseconds since 1970, shape (n,)."""
    features: Floats
    """Shape (n, k); NaN is a missing value."""
    label: Floats
    """Shape (n,), every one finite."""

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or not len(self.event_time) == len(self.features) == len(self.label):  # noqa: PLR2004 - a matrix
            raise ValueError(
                f"{len(self.event_time)} times, {len(self.label)} labels and features of shape {self.features.shape}"
            )

    def __len__(self) -> int:
        return len(self.label)

    def within(self, horizon: Horizon, end: datetime) -> "LabelledRows":
        """Rows before `end`, as far back as the horizon says; 'all' has no beginning.

        Where the newest labelled row is older than a day (late labels, a hole), the horizon is counted from there: 30 days
        are 30 days of labels.
        """
        keep = self.event_time < microseconds(end)
        if isinstance(horizon, timedelta) and keep.any():
            last = min(microseconds(end), int(self.event_time[keep].max()) + _FRESH)
            keep &= self.event_time >= last - horizon // _MICROSECOND
        return self if keep.all() else self.chosen(keep)

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> "LabelledRows":
        """The rows under a mask or at these places."""
        return LabelledRows(self.event_time[which], self.features[which], self.label[which])
