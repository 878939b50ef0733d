"""Generated sets: each moves in one way that the real ones don't, so that a default policy can be tried on what it will meet.

A label is drawn with log-odds `level + strength * signal`; the signal is a nonlinear function of six features that
`_Motion` moves in time. Everything follows from the name and the seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zlib import crc32

import numpy as np

from backtest.periods import Table
from bench.datasets import DataSet
from learning.rows import Floats, Times, microseconds

FEATURES = tuple(f"x{number}" for number in range(6))
_BEGIN = datetime(2020, 1, 6, tzinfo=UTC)
_WEEK = timedelta(days=7)
_HOUR = 3_600_000_000

Motion = Callable[[Floats], Floats]
"""From weeks since the beginning, shape (n,), to angles (n,): by how much the concept has turned. Half a turn inverts it."""


@dataclass(frozen=True)
class Shape:
    """One generated set: how it is seen, and how it moves."""

    says: str
    weeks: int = 60
    rows: int = 300
    """A week."""
    first_window: timedelta = timedelta(days=90)
    delay: timedelta = timedelta(hours=6)
    turn: Motion = np.zeros_like
    level: Motion = np.zeros_like
    """Added to the log-odds."""
    strength: float = 2.0
    holes: tuple[tuple[int, int], ...] = ()
    """Weeks without a row: from one to before the other."""


def _steady(angle: float) -> Motion:
    return lambda week: angle * week


def _jumps(*weeks: int) -> Motion:
    """Inverted at each of these weeks."""
    return lambda week: np.pi * np.sum([week >= at for at in weeks], axis=0)


def _season(size: float, period: float = 52.0) -> Motion:
    return lambda week: size * np.sin(2 * np.pi * week / period)


SHAPES: dict[str, Shape] = {
    "still": Shape("nothing drifts"),
    "noise": Shape("labels that no feature tells apart", strength=0.0, level=lambda week: np.full_like(week, -0.8)),
    "slow": Shape("a slow turn over a long history", weeks=110, rows=250, turn=_steady(0.014), first_window=timedelta(days=365)),
    "fast": Shape("a fast turn", turn=_steady(0.06)),
    "young": Shape(
        "a first window of 30 days, much to learn", weeks=26, rows=1000, first_window=timedelta(days=30), strength=1.2
    ),
    "young_drift": Shape("the same, turning", weeks=26, rows=800, first_window=timedelta(days=30), turn=_steady(0.025)),
    "inversions": Shape("inverted twice, from one hour to the next", turn=_jumps(30, 45)),
    "season": Shape(
        "a concept that comes back each year", weeks=130, rows=200, turn=_season(0.9), first_window=timedelta(days=365)
    ),
    "level": Shape("a base rate that wanders", level=_season(1.5, 23.0)),
    "holes": Shape("a turn, and two holes of months", turn=_steady(0.03), holes=((20, 31), (42, 50))),
    "late": Shape("a turn, and labels three weeks late", turn=_steady(0.03), delay=timedelta(days=21)),
    "rare": Shape("6 % positives, and a turn", rows=1000, turn=_steady(0.02), level=lambda week: np.full_like(week, -5.0)),
    "sparse": Shape("70 rows a week, and a turn", weeks=110, rows=70, turn=_steady(0.02), first_window=timedelta(days=180)),
}


def generate(name: str, seed: int = 0) -> DataSet:
    """The set of that name; the same name and seed give the same rows."""
    shape = SHAPES[name]
    rng = np.random.default_rng([crc32(name.encode()), seed])
    week = np.sort(rng.random(shape.weeks * shape.rows)) * shape.weeks
    week = week[~np.any([(week >= start) & (week < end) for start, end in shape.holes], axis=0)] if shape.holes else week
    features = rng.normal(size=(len(week), len(FEATURES)))
    log_odds = shape.level(week) + shape.strength * _signal(features, shape.turn(week))
    label = (rng.random(len(week)) < 1 / (1 + np.exp(-log_odds))).astype(np.float64)
    event_time: Times = microseconds(_BEGIN) + (week * 168 * _HOUR).astype(np.int64)
    known_at = event_time + shape.delay // timedelta(microseconds=1)
    table = Table(event_time, known_at, features, label, shape.first_window, _WEEK)
    return DataSet(name, FEATURES, (), table, _BEGIN + shape.weeks * _WEEK / 2)


def _signal(features: Floats, turned: Floats) -> Floats:
    """Two fixed functions of the features, one fading into the other as the concept turns; half a turn is the opposite."""
    one = features[:, 0] + 0.7 * features[:, 1] * features[:, 2] + np.sin(2 * features[:, 3])
    other = features[:, 4] - 0.7 * features[:, 0] * features[:, 3] + np.sin(2 * features[:, 5])
    return np.asarray(np.cos(turned) * one + np.sin(turned) * other, dtype=np.float64)
