"""Paired day-block bootstrap: how far chance alone could have made the gain.

Rows of one day rise and fall together (weather, a holiday, a broken feed), so days are drawn, not rows: a row bootstrap
calls two seeds of one model different far too often. Both models see the same draws. Each metric is written as sums
per day, so a resample is one line of a matrix product and 100,000 rows cost little more than 1,000.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from policies import metrics
from policies.metrics import Floats
from policies.paired import Days, PairedScores

HIGHER_IS_BETTER = {
    "log_loss": False,
    "brier": False,
    "accuracy": True,
    "recall": True,
    "auc": True,
    "calibration_error": False,
    "worst_day_log_loss": False,
}
"""Every metric that the gate compares, in the order in which people read them."""

_AUC_BINS = 128
"""Draws of the AUC see scores in 128 bins of equal count; the point is exact, and the interval is centred on it."""
_SINGLE = 6
"""Columns before those that come in bins: rows, positives, found, right, log loss, Brier."""
_CELLS = 2_000_000
_STEEPEST = 1e6


@dataclass(frozen=True)
class Gain:
    """One metric on the same rows; `gain` > 0 where the challenger is better, [low, high] its interval."""

    champion: float
    challenger: float
    gain: float
    low: float
    high: float


def gains(*, rows: PairedScores, threshold: float, alpha: float, resamples: int, seed: int) -> dict[str, Gain]:
    """Every metric of both models with the interval of level 1 - alpha of its gain.

    `rows` must be labelled and hold at least two days. The same input gives the same output, to the last bit.
    """
    day = _day_index(rows.day)
    champion = _Statistics(rows.label, rows.champion, day, threshold)
    challenger = _Statistics(rows.label, rows.challenger, day, threshold)
    drawn = [(champion.drawn(w), challenger.drawn(w)) for w in _draws(champion.days, resamples, seed)]
    level = _tail_level(alpha, champion.days)
    return {name: _gain(name, champion, challenger, drawn, level) for name in HIGHER_IS_BETTER}


def day_t(rows: PairedScores, loss: Callable[[Floats, Floats], Floats]) -> float:
    """Mean gain in `loss` over its standard error, days as blocks; positive where the challenger is better.

    A day counts by its rows: the mean is that of the rows, the error that of a ratio of day sums. 0 for equal
    scores; bounded by a million where every day agrees to the last bit. Needs at least two days.
    """
    day = _day_index(rows.day)
    count = np.bincount(day)
    gain = np.bincount(day, weights=loss(rows.label, rows.champion) - loss(rows.label, rows.challenger))
    mean = gain.sum() / count.sum()
    days = len(count)
    error = math.sqrt(days / (days - 1) * float(((gain - mean * count) ** 2).sum())) / count.sum()
    return float(np.clip(mean / max(error, 1e-15), -_STEEPEST, _STEEPEST))


def least_t(declared: float, days: int) -> float:
    """The t that so few days have to show to be as unlikely by chance as `declared` is for many: 3.5 becomes 4.6 for 14."""
    return _student(declared, days - 1)


def _gain(
    name: str,
    champion: "_Statistics",
    challenger: "_Statistics",
    drawn: list[tuple[dict[str, Floats], dict[str, Floats]]],
    level: float,
) -> Gain:
    sign = 1.0 if HIGHER_IS_BETTER[name] else -1.0
    before, after = champion.point[name], challenger.point[name]
    shift = sign * ((after - challenger.binned(name)) - (before - champion.binned(name)))
    differences = np.concatenate([sign * (new[name] - old[name]) for old, new in drawn]) + shift
    low, high = np.quantile(differences, [level, 1 - level])
    return Gain(before, after, sign * (after - before), float(low), float(high))


def _day_index(day: Days) -> Days:
    _, index = np.unique(day, return_inverse=True)
    return index.astype(np.int64)


def _draws(days: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each day was drawn, shape (lines, days), `resamples` lines in all; in chunks that bound the memory."""
    rng = np.random.default_rng(seed)
    chunk = max(1, _CELLS // max(days, 2 * _AUC_BINS))
    for start in range(0, resamples, chunk):
        lines = min(chunk, resamples - start)
        picked = rng.integers(0, days, size=(lines, days)) + np.arange(lines)[:, None] * days
        yield np.bincount(picked.ravel(), minlength=lines * days).reshape(lines, days).astype(np.float64)


def _tail_level(alpha: float, days: int) -> float:
    """Share of draws below the interval: alpha / 2 widened for few days (Hesterberg's expanded percentile interval).

    A plain percentile interval of 14 blocks covers 91 % instead of 95 %: it lacks Student's t and divides by n.
    """
    normal = NormalDist()
    return normal.cdf(-math.sqrt(days / (days - 1)) * _student(normal.inv_cdf(1 - alpha / 2), days - 1))


def _student(z: float, freedom: int) -> float:
    """Student's t at the level of the normal quantile `z`, by Cornish and Fisher; within 1 % from 5 degrees of freedom on."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


class _Statistics:
    """One model's metrics as sums per day; a line of weights (how often each day counts) gives the metrics.

    All sums stand in one table of shape (days, columns), so that a chunk of draws is one matrix product.
    """

    def __init__(self, label: Floats, score: Floats, day: Days, threshold: float) -> None:
        self._day, self.days = day, int(day.max()) + 1
        positive = label == 1
        ones = np.ones(len(label))
        ranked = _quantile_bins(score)
        single = (
            ones,
            positive * ones,
            (positive & (score >= threshold)) * ones,
            ((score >= threshold) == positive) * ones,
            metrics.row_log_loss(label, score),
            metrics.row_brier(label, score),
        )
        self._sums = np.hstack(
            [
                *(self._binned_sums(np.zeros(len(label), dtype=np.int64), 1, value) for value in single),
                self._binned_sums(metrics.calibration_bins(score), metrics.BINS, score - label),
                self._binned_sums(ranked, _AUC_BINS, positive * ones),
                self._binned_sums(ranked, _AUC_BINS, ~positive * ones),
            ]
        )
        rows = self._sums[:, 0]
        self._full_days = rows >= np.median(rows) / 2
        self._daily_log_loss = self._sums[:, 4] / rows
        self._binned = {name: float(value[0]) for name, value in self.drawn(np.ones((1, self.days))).items()}
        self.point = self._binned | {"auc": metrics.auc(label, score)}

    def binned(self, name: str) -> float:
        """The metric of the whole sample as the draws see it."""
        return self._binned[name]

    def drawn(self, weights: Floats) -> dict[str, Floats]:
        """Metrics under `weights` of shape (b, days); each of shape (b,)."""
        sums = np.einsum("bd,dk->bk", weights, self._sums)  # not BLAS, whose threads spin on small products and reorder sums
        total, positives, found, right, log_loss, brier = sums[:, :_SINGLE].T
        gaps, ranked = sums[:, _SINGLE : _SINGLE + metrics.BINS], sums[:, _SINGLE + metrics.BINS :]
        return {
            "log_loss": log_loss / total,
            "brier": brier / total,
            "accuracy": right / total,
            "recall": found / np.maximum(positives, 1),
            "auc": _binned_auc(ranked[:, :_AUC_BINS], ranked[:, _AUC_BINS:]),
            "calibration_error": np.abs(gaps).sum(axis=1) / total,
            "worst_day_log_loss": self._worst_day(weights, log_loss / total),
        }

    def _worst_day(self, weights: Floats, otherwise: Floats) -> Floats:
        """Largest daily mean log loss among days with at least half the rows of the median day: the rest is noise."""
        daily = np.where((weights > 0) & self._full_days, self._daily_log_loss, -1.0).max(axis=1)
        return np.where(daily >= 0, daily, otherwise)

    def _binned_sums(self, bin_of: Days, bins: int, value: Floats) -> Floats:
        """Sums of `value` by day and bin, shape (days, bins)."""
        flat: Floats = np.bincount(self._day * bins + bin_of, weights=value, minlength=self.days * bins).astype(np.float64)
        return flat.reshape(self.days, bins)


def _binned_auc(positives: Floats, negatives: Floats) -> Floats:
    """AUC from counts by score bin, both of shape (b, bins); pairs within a bin count half."""
    below = np.cumsum(negatives, axis=1) - negatives / 2
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    return np.where(pairs > 0, (positives * below).sum(axis=1) / np.maximum(pairs, 1), 0.5)


def _quantile_bins(score: Floats) -> Days:
    """Bin of each row by rank, equal scores together; exact as long as there are at most 128 different scores."""
    different, index = np.unique(score, return_inverse=True)
    if len(different) <= _AUC_BINS:
        return index.astype(np.int64)
    edges = np.quantile(score, np.arange(1, _AUC_BINS) / _AUC_BINS)
    return np.searchsorted(edges, score, side="right").astype(np.int64)
