"""Does a gain on average hide a slice that is harmed?

Each value of each slicing feature is tested: is its primary metric worse by more than the margin, beyond chance? The tests
are corrected for their number by Holm, or sixty slices would find a harmed one by luck alone. Sums are taken per slice and
block for all values of a feature at once, over the cells that have rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.comparison import SliceComparison
from contracts.evaluation import GatePolicy
from policies.chance import holm, student_quantile, student_tail
from policies.metrics import Floats
from policies.paired import Days
from policies.sample import Sample

Values = NDArray[Any]
MISSING = "missing"


@dataclass(frozen=True)
class SliceFindings:
    """All slices, tested together."""

    listed: tuple[SliceComparison, ...] = ()
    unlisted: int = 0
    not_evaluable: int = 0
    worst_low: float | None = None
    """Simultaneous lower bound of the gain in the worst evaluable slice."""
    margin: float | None = None
    """Absolute."""
    harmed: tuple[SliceComparison, ...] = ()
    """Slices that are worse by more than the margin beyond chance, listed or not."""


@dataclass(frozen=True)
class _Sums:
    """Figures of every value of one feature, each of shape (values,)."""

    feature: str
    values: Sequence[str]
    rows: Days
    days: Days
    blocks: Days
    champion: Floats
    challenger: Floats
    effective: Days
    """Blocks of equal size that say as much."""
    error: Floats
    """Standard error of the gain; infinite for a single block."""


@dataclass(frozen=True)
class _Slice:
    """One evaluable slice."""

    feature: str
    value: str
    rows: int
    days: int
    effective: int
    champion: float
    challenger: float
    error: float

    @property
    def gain(self) -> float:
        return self.champion - self.challenger

    def low(self, level: float) -> float:
        return self.gain - student_quantile(level, self.effective - 1) * self.error

    def harm(self, margin: float) -> float:
        """Chance of so low a gain if the slice were worse by exactly the margin."""
        excess = -(self.gain + margin)
        if self.error <= abs(excess) * 1e-9:
            return float(excess <= 0)
        return student_tail(excess / self.error, self.effective - 1)


def compare_slices(*, sample: Sample, slices: Mapping[str, Values], gate: GatePolicy) -> SliceFindings:
    """Slices of the sample's labelled rows; each value array has shape (n,) like the scores that the sample was made from.

    Raises ValueError for another length. Nothing is compared without figures.
    """
    for feature, values in slices.items():
        if values.shape != sample.stored:
            raise ValueError(f"slice {feature} has shape {values.shape}; the scores have {sample.stored}")
    if not slices or not sample.found:
        return SliceFindings()
    sums = [_sums(feature, values[sample.places], sample) for feature, values in sorted(slices.items())]
    margin = gate.slice_margin * sample.primary.champion
    small = [one for part in sums for one in _too_small(part, gate)]
    judged = _judged([one for part in sums for one in _evaluable(part, gate)], margin, gate)
    ordered = sorted(judged, key=lambda s: (s.gain, s.feature, s.value))
    listed = (*ordered, *sorted(small, key=lambda s: (-s.rows, s.feature, s.value)))
    return SliceFindings(
        listed=listed[: gate.max_slices],
        unlisted=sum(len(part.values) for part in sums) - min(len(listed), gate.max_slices),
        not_evaluable=sum(len(part.values) for part in sums) - len(judged),
        worst_low=_worst_low([one for part in sums for one in _evaluable(part, gate)], gate.alpha),
        margin=margin,
        harmed=tuple(s for s in ordered if not s.held),
    )


def _judged(evaluable: Sequence[_Slice], margin: float, gate: GatePolicy) -> list[SliceComparison]:
    harms = holm([one.harm(margin) for one in evaluable])
    return [
        SliceComparison(
            feature=one.feature,
            value=one.value,
            rows=one.rows,
            days=one.days,
            champion=one.champion,
            challenger=one.challenger,
            gain=one.gain,
            low=one.low(gate.alpha / 2),
            high=2 * one.gain - one.low(gate.alpha / 2),
            harm=harm,
            held=harm > gate.alpha,
        )
        for one, harm in zip(evaluable, harms, strict=True)
    ]


def _worst_low(evaluable: Sequence[_Slice], alpha: float) -> float | None:
    return min((one.low(alpha / len(evaluable)) for one in evaluable), default=None)


def _sums(feature: str, values: Values, sample: Sample) -> _Sums:
    names, index = _named(values)
    rows, loss = sample.rows, sample.family.row_loss[sample.primary_name]
    champion, challenger = loss(rows.label, rows.champion), loss(rows.label, rows.challenger)
    count = np.bincount(index)
    before, after = (np.bincount(index, weights=part) / count for part in (champion, challenger))
    error, blocks, effective = _errors(index, sample.block, champion - challenger, before - after)
    owner, _ = _cells(index, rows.day)
    return _Sums(feature, names, count, np.bincount(owner), blocks, before, after, effective, error)


def _cells(index: Days, block: Days) -> tuple[Days, Days]:
    """The slice of every cell of slice and block that has rows, and the cell of each row."""
    _, number = np.unique(block, return_inverse=True)
    width = int(number.max()) + 1
    cells, cell = np.unique(index * width + number, return_inverse=True)
    return cells // width, cell.astype(np.int64)


def _errors(index: Days, block: Days, gain: Floats, mean: Floats) -> tuple[Floats, Days, Days]:
    """The jackknife's error of each slice's mean gain, its blocks, and as how many they count, over the cells that have rows."""
    owner, cell = _cells(index, block)
    count, blocks = np.bincount(cell), np.bincount(owner)
    rows = np.bincount(owner, weights=count)
    left_out = (np.bincount(cell, weights=gain) - mean[owner] * count) / np.maximum(rows[owner] - count, 1)
    square = np.bincount(owner, weights=left_out**2) * (blocks - 1) / blocks
    even = np.rint(rows**2 / np.bincount(owner, weights=count.astype(np.float64) ** 2)).astype(np.int64)
    return np.where(blocks > 1, np.sqrt(square), np.inf), blocks, np.maximum(even, 2)


def _named(values: Values) -> tuple[list[str], Days]:
    """Every value as text, and the place of each row's; NaN and None are the value `missing`."""
    if not np.issubdtype(values.dtype, np.number):
        values = np.array([MISSING if v is None or v != v else str(v) for v in values.tolist()], dtype=np.str_)  # noqa: PLR0124 - NaN
    different, index = np.unique(values, return_inverse=True)
    return [_text(value) for value in different.tolist()], index.astype(np.int64)


def _text(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return MISSING if value != value else f"{value:.15g}"  # noqa: PLR0124 - NaN


def _evaluable(sums: _Sums, gate: GatePolicy) -> Iterator[_Slice]:
    for i in np.flatnonzero(_enough(sums, gate)).tolist():
        yield _Slice(
            feature=sums.feature,
            value=sums.values[i],
            rows=int(sums.rows[i]),
            days=int(sums.days[i]),
            effective=int(sums.effective[i]),
            champion=float(sums.champion[i]),
            challenger=float(sums.challenger[i]),
            error=float(sums.error[i]),
        )


def _enough(sums: _Sums, gate: GatePolicy) -> NDArray[np.bool_]:
    return (sums.rows >= gate.min_slice_rows) & (sums.days >= gate.min_slice_days) & (sums.blocks > 1)


def _too_small(sums: _Sums, gate: GatePolicy) -> Iterator[SliceComparison]:
    """Those that can't be judged, the largest first; no more than can be listed."""
    places = np.flatnonzero(~_enough(sums, gate))
    largest = places[np.argsort(-sums.rows[places], kind="stable")][: gate.max_slices]
    for i in largest.tolist():
        rows, days = int(sums.rows[i]), int(sums.days[i])
        yield SliceComparison(
            feature=sums.feature,
            value=sums.values[i],
            rows=rows,
            days=days,
            champion=float(sums.champion[i]),
            challenger=float(sums.challenger[i]),
            gain=float(sums.champion[i] - sums.challenger[i]),
            evaluable=False,
            why_not=_why_not(rows, days, gate),
        )


def _why_not(rows: int, days: int, gate: GatePolicy) -> str:
    if rows < gate.min_slice_rows:
        return f"{rows:,} rows of at least {gate.min_slice_rows:,}"
    return f"{days:,} days of at least {gate.min_slice_days:,}" if days < gate.min_slice_days else "all rows lie in one block"
