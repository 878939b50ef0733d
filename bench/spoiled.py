"""A world whose truth is known, and champions spoiled in it by construction.

Scores and days are those of flights: a model fitted on 90 days scores the 28 days after, over the year. Each day's own level
(storms push whole days up) is fitted from the labels and becomes part of the truth; labels are then drawn from the truth, so
that any number of rows can be asked for without copying a label. The challenger is the model, right on average and ignorant
of the days. The champion is the challenger spoiled: how much is found by bisection, so that its log loss is higher by exactly
the share that was asked for, in expectation over all days.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.gate_null import History, history
from policies.metrics import Floats
from policies.paired import PairedScores

DEFECTS = ("noise", "scale", "shift", "slice", "stale", "shift_up")
EQUAL = "equal"
_FIT, _BLOCK, _OLD = 90, 28, 31
_ORIGIN, _JFK = 1, 1.0
_EQUAL_NOISE = 0.3
_MOST = 8.0


@dataclass(frozen=True)
class World:
    """Rows of a pool, shape (n,) each, with the place of every day's rows."""

    days: tuple[NDArray[np.intp], ...]
    truth: Floats
    """Probability of label 1."""
    good: Floats
    """The challenger's log-odds."""
    old: Floats
    """Those of a model that knows the first month alone."""
    slice: NDArray[np.bool_]

    def loss(self, logit: Floats) -> float:
        """Expected log loss over the pool."""
        score = sigmoid(logit)
        return float(-(self.truth * np.log(score) + (1 - self.truth) * np.log(1 - score)).mean())

    def spoiled(self, defect: str, share: float) -> Floats:
        """The champion's log-odds: its expected log loss is higher than the challenger's by `share` of it."""
        spoil, wanted = self._spoils()[defect], self.loss(self.good) * (1 + share)
        return spoil(bisected(lambda size: self.loss(spoil(size)) - wanted, 0.0, _MOST))

    def _spoils(self) -> Mapping[str, Callable[[float], Floats]]:
        noise = np.random.default_rng(1).normal(size=len(self.good))
        return {
            "noise": lambda size: self.good + size * noise,
            "scale": lambda size: self.good * (1 + size),
            "shift": lambda size: self.good - size,
            "shift_up": lambda size: self.good + size,
            "slice": lambda size: np.where(self.slice, self.good + size * noise, self.good),
            "stale": lambda size: self.good + size * (self.old - self.good),
        }

    def drawn(self, rng: np.random.Generator, champion: Floats | None, rows_a_day: int, days: int) -> PairedScores:
        """So many days, each any day of the pool; without a champion both are the challenger with noise of its own."""
        picked = rng.integers(0, len(self.days), days)
        rows = np.concatenate([rng.choice(self.days[day], rows_a_day) for day in picked])
        label = (rng.random(len(rows)) < self.truth[rows]).astype(np.float64)
        good = self.good[rows]
        pair = (champion[rows], good) if champion is not None else _equal(rng, good)
        return PairedScores(
            day=np.repeat(np.arange(days), rows_a_day), label=label, champion=sigmoid(pair[0]), challenger=sigmoid(pair[1])
        )


def _equal(rng: np.random.Generator, good: Floats) -> tuple[Floats, Floats]:
    first, second = rng.normal(0, _EQUAL_NOISE, (2, len(good)))
    return good + first, good + second


def sigmoid(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float64)


def bisected(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function crosses zero."""
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return low


def world(day_effects: float) -> World:
    """The pool, its days' own levels taken times `day_effects`."""
    flights = history("flights")
    rows, good, old = _scored(flights)
    day, label = flights.day[rows], flights.label[rows]
    _, place = np.unique(day, return_inverse=True)
    days = tuple(np.flatnonzero(place == one) for one in range(int(place.max()) + 1))
    level = np.array([_level(good[of_day], label[of_day]) for of_day in days])
    truth = sigmoid(good + day_effects * (level - level.mean())[place])
    right = bisected(lambda shift: float((sigmoid(good + shift) - truth).mean()), -_MOST, _MOST)
    return World(days, truth, good + right, old, flights.features[rows, _ORIGIN] == _JFK)


def _scored(flights: History) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Rows with what the newest model and the oldest one say of them."""
    first, last = int(flights.day[0]), int(flights.day[-1]) + 1
    learnt = flights.between(first, first + _OLD)
    oldest = flights.fit(learnt, flights.label[learnt], 1)
    rows, good = [], []
    for cut in range(first + _FIT, last - _BLOCK + 1, _BLOCK):
        fitted, scored = flights.between(cut - _FIT, cut), flights.between(cut, cut + _BLOCK)
        good.append(flights.scored(flights.fit(fitted, flights.label[fitted], 1), scored))
        rows.append(scored)
    everything = np.concatenate(rows)
    return everything, _logit(np.concatenate(good)), _logit(flights.scored(oldest, everything))


def _logit(score: Floats) -> Floats:
    return np.asarray(np.log(score / (1 - score)), dtype=np.float64)


def _level(logit: Floats, label: Floats) -> float:
    """What is missing from these log-odds on one day."""
    return bisected(lambda shift: float((sigmoid(logit + shift) - label).mean()), -_MOST / 2, _MOST / 2)
