"""Paired day-block bootstrap: how far chance alone could have made the gain.

Rows of one day rise and fall together (weather, a holiday, a broken feed), so days are drawn, not rows: a row bootstrap
calls two seeds of one model different far too often. Both models see the same draws. Each metric is written as sums
per day, so a resample is one line of a matrix product and 100,000 rows cost little more than 1,000.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from policies.chance import student_quantile
from policies.families import FAMILIES, RowLoss
from policies.metrics import Floats
from policies.model_sums import ModelSums, model_sums
from policies.paired import Days, PairedScores

_NORMAL = NormalDist()
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

    @property
    def rounding(self) -> float:
        """Differences as small as this are noise of the arithmetic."""
        return 1e-12 * (abs(self.champion) + abs(self.challenger))


@dataclass(frozen=True)
class BlockMean:
    """A mean over rows with its standard error, blocks being what was drawn."""

    mean: float
    error: float
    blocks: int
    effective: int = 0
    """Blocks of equal size that say as much: a day with nearly all rows makes two weeks of days count as little more than one."""

    @property
    def t(self) -> float:
        """Mean over error; 0 for equal scores, bounded by a million where every block agrees to the last bit."""
        if self.mean == 0:
            return 0.0
        return self.mean / max(self.error, abs(self.mean) / _STEEPEST)


def weeks(day: Days) -> Days:
    """Number of the week, from Monday on, of each day since 1970-01-01."""
    return (day + 3) // 7


def gains(
    *, rows: PairedScores, threshold: float, alpha: float, resamples: int, seed: int, block: Days | None = None
) -> dict[str, Gain]:
    """Every metric of both models with the interval of level 1 - alpha of its gain.

    `rows` must be labelled and hold at least two blocks; `block` (n,) numbers the block of each row, its day unless given.
    The same input gives the same output, to the last bit.
    """
    index = _index(rows.day if block is None else block)
    champion, challenger = (
        model_sums(rows.task, rows.label, score, index, threshold) for score in (rows.champion, rows.challenger)
    )
    drawn = [(champion.drawn(w), challenger.drawn(w)) for w in _draws(champion.blocks, champion.columns, resamples, seed)]
    level = _tail_level(alpha, effective_blocks(np.bincount(index)))
    directions = FAMILIES[rows.task].higher_is_better
    return {
        name: _gain(name, 1.0 if higher else -1.0, (champion, challenger), drawn, level) for name, higher in directions.items()
    }


def block_mean(rows: PairedScores, loss: RowLoss, block: Days | None = None) -> BlockMean:
    """Mean gain in `loss`, positive where the challenger is better; at least two blocks.

    A block counts by its rows. The error is the jackknife's, each block left out in turn: with blocks of one size it is that
    of a ratio of block sums, and where one block holds most rows it does not pretend that the others had said the same.
    """
    index = _index(rows.day if block is None else block)
    count = np.bincount(index)
    gain = np.bincount(index, weights=loss(rows.label, rows.champion) - loss(rows.label, rows.challenger))
    rows_in_all, blocks = float(count.sum()), len(count)
    mean = float(gain.sum()) / rows_in_all
    left_out = (gain - mean * count) / (rows_in_all - count)
    error = math.sqrt((blocks - 1) / blocks * float((left_out**2).sum()))
    return BlockMean(mean, error, blocks, effective_blocks(count))


def effective_blocks(count: Days) -> int:
    """How many blocks of equal size weigh as evenly as blocks of these sizes; at least two, so that Student's t is defined."""
    return max(2, round(float(count.sum()) ** 2 / float((count.astype(np.float64) ** 2).sum())))


def day_t(rows: PairedScores, loss: RowLoss) -> float:
    """Mean gain in `loss` over its standard error, days as blocks."""
    return block_mean(rows, loss).t


def least_t(declared: float, days: int, family: int = 1) -> float:
    """The t that so few days have to show to be as unlikely by chance as `declared` is for many: 3.5 becomes 4.6 for 14.

    With `family` comparisons chance is divided by their number.
    """
    return student_quantile(_NORMAL.cdf(-declared) / family, days - 1)


def _gain(
    name: str,
    sign: float,
    models: tuple[ModelSums, ModelSums],
    drawn: list[tuple[dict[str, Floats], dict[str, Floats]]],
    level: float,
) -> Gain:
    champion, challenger = models
    before, after = champion.point[name], challenger.point[name]
    shift = sign * ((after - challenger.binned(name)) - (before - champion.binned(name)))
    differences = np.concatenate([sign * (new[name] - old[name]) for old, new in drawn]) + shift
    low, high = np.quantile(differences, [level, 1 - level])
    return Gain(before, after, sign * (after - before), float(low), float(high))


def _index(block: Days) -> Days:
    _, index = np.unique(block, return_inverse=True)
    return index.astype(np.int64)


def _draws(days: int, columns: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each day was drawn, shape (lines, days), `resamples` lines in all; in chunks that bound the memory."""
    rng = np.random.default_rng(seed)
    chunk = max(1, _CELLS // max(days, columns))
    for start in range(0, resamples, chunk):
        lines = min(chunk, resamples - start)
        picked = rng.integers(0, days, size=(lines, days)) + np.arange(lines)[:, None] * days
        yield np.bincount(picked.ravel(), minlength=lines * days).reshape(lines, days).astype(np.float64)


def _tail_level(alpha: float, days: int) -> float:
    """Share of draws below the interval: alpha / 2 widened for few days (Hesterberg's expanded percentile interval).

    A plain percentile interval of 14 blocks covers 91 % instead of 95 %: it lacks Student's t and divides by n.
    """
    return _NORMAL.cdf(-math.sqrt(days / (days - 1)) * student_quantile(alpha / 2, days - 1))
