"""A sample of too many rows that hardly changes from one week to the next."""

import numpy as np
from numpy.typing import NDArray

from learning.rows import Floats, LabelledRows, Times

Lots = NDArray[np.uint64]

_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15))


def sample(rows: LabelledRows, most: int) -> LabelledRows:
    """At most so many rows, in their order.

    Which ones depends on each row's time and features alone, through a hash: a row that is left out stays out while the
    table grows, so that two fits of neighbouring weeks differ by the new rows and not by the luck of the draw.
    """
    return rows if len(rows) <= most else rows.chosen(lowest(lots(rows.event_time, rows.features), most))


def lowest(drawn: Lots, most: int) -> NDArray[np.int64]:
    """Places of the rows with the lowest lots, in their order."""
    return np.sort(np.argsort(drawn, kind="stable")[:most]).astype(np.int64)


def lots(event_time: Times, features: Floats) -> Lots:
    """A number for each row by its content, as if drawn by lot, shape (n,)."""
    found = _mixed(event_time.view(np.uint64))
    for column in features.T:
        bits = np.where(np.isnan(column), 0.5, column + 0.0).view(np.uint64)
        found = _mixed(found ^ bits)
    return found


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64: every bit of the input moves half of the output's."""
    bits = bits + _MIX[2]
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX[0]
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX[1]
    return np.asarray(bits ^ (bits >> np.uint64(31)), dtype=np.uint64)
