"""How late labels come: a curve from those that arrived and those still waited for, and when enough will be there.

Kaplan and Meier's estimate: a row without a label says only that its delay is longer than its age. Delays are counted in steps
of a tenth, rounded up, so that the curve is never too hopeful.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.coverage import DelayQuantile, LabelDelay

RATIO: Final = 1.1
"""Each step's delay is so many times the one before; step 0 is a second."""
LAST_STEP: Final = 250
"""Some seven hundred years: nothing is later."""
SHARES: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_HARDLY: Final = 0.01
_ENOUGH: Final = 20
"""So many rows at risk, at least, for the curve to speak of a delay."""

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


@dataclass(frozen=True)
class Delays:
    """Rows by step, shape (LAST_STEP + 1,): those labelled with this delay, and those that have waited so long."""

    arrived: Counts
    waiting: Counts

    @property
    def rows(self) -> int:
        return int(self.arrived.sum() + self.waiting.sum())


@dataclass(frozen=True)
class Curve:
    share: Shares
    """By step: the share of rows whose label has arrived so long after the event."""
    known_to: int
    """Last step of which enough rows tell; the curve is flat beyond."""

    @property
    def ever(self) -> float:
        return float(self.share[-1])

    @property
    def settled(self) -> bool:
        """Whether hardly any label came in the later half of what is known: then what is missing won't come any more."""
        half = max(0, self.known_to - math.ceil(math.log(2) / math.log(RATIO)))
        return bool(self.share[self.known_to] - self.share[half] < _HARDLY)


def delay_of(step: int) -> timedelta:
    return timedelta(seconds=float(RATIO**step))


def curve(delays: Delays) -> Curve:
    """The estimate; it stays flat where too few rows tell."""
    at_risk = np.cumsum((delays.arrived + delays.waiting)[::-1])[::-1]
    told = at_risk >= _ENOUGH
    hazard = np.where(told, delays.arrived / np.maximum(at_risk, 1), 0.0)
    last = int(np.flatnonzero(told)[-1]) if told.any() else 0
    return Curve(1 - np.cumprod(1 - hazard), last)


def described(delays: Delays, at: datetime | None) -> LabelDelay:
    """The curve as a record keeps it."""
    found = curve(delays)
    reached = [(share, int(np.argmax(found.share >= share))) for share in SHARES if found.ever >= share]
    return LabelDelay(
        quantiles=tuple(DelayQuantile(share=share, delay=delay_of(step)) for share, step in reached),
        ever=round(found.ever, 6),
        arrived=int(delays.arrived.sum()),
        waiting=int(delays.waiting.sum()),
        measured_at=at,
    )


def maturity(*, curve: Curve, window: Delays) -> float | None:
    """Of all labels expected for the window's rows, the share that is there; None where none is expected."""
    there = float(window.arrived.sum())
    coming = float(window.waiting @ _chance(curve, LAST_STEP))
    return there / (there + coming) if there + coming > 0 else None


def mature_after(*, curve: Curve, window: Delays, labelled: float) -> timedelta | None:
    """How long until so many of the window's rows are expected to have a label; None where the curve never gets there."""
    missing = labelled - float(window.arrived.sum())
    for step in range(LAST_STEP + 1):
        if float(window.waiting @ _chance(curve, step)) >= missing:
            return delay_of(step)
    return None


def expected_within(*, curve: Curve, rows: Delays, span: timedelta) -> float:
    """How many labels should come to these rows in so long a time."""
    seconds = max(span.total_seconds(), 1.0)
    return float(rows.waiting @ _chance(curve, math.floor(math.log(seconds) / math.log(RATIO))))


def _chance(curve: Curve, ahead: int) -> Shares:
    """By step of its age: the chance that a waiting row's label comes within the delay of step `ahead`."""
    now = curve.share
    then = RATIO ** np.arange(LAST_STEP + 1) + RATIO**ahead
    steps = np.minimum(np.floor(np.log(then) / math.log(RATIO)), LAST_STEP).astype(np.int64)
    if ahead >= LAST_STEP:
        steps[:] = LAST_STEP
    left = np.maximum(1 - now, 1e-12)
    return np.where(now < 1, np.clip((curve.share[steps] - now) / left, 0, 1), 0.0)
