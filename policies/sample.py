"""The labelled rows that a comparison rests on, with every metric of both models."""

from collections.abc import Iterator, Mapping

import numpy as np

from contracts.evaluation import PROPER_SCORES, Comparison, GatePolicy
from contracts.training import Task
from policies.bootstrap import BlockMean, Gain, block_mean, gains, weeks
from policies.families import FAMILIES
from policies.paired import Days, PairedScores

_MOST = 1e9
_NEARLY_ALL = 0.9
_NOTHING = BlockMean(0.0, 0.0, 0)


class Sample:
    """One comparison: rows with labels, gains with intervals, the primary's t. Empty figures below two blocks of rows."""

    def __init__(self, scores: PairedScores, gate: GatePolicy, threshold: float) -> None:
        self.stored = scores.day.shape
        self.places = scores.known()
        self.rows = scores.chosen(self.places)
        self.days = self.rows.days
        self.family = FAMILIES[scores.task]
        self.primary_name = self.family.primary(gate)
        self._gate, self._threshold = gate, threshold
        self.shortfalls = tuple(self._shortfalls())
        self.found: dict[str, Gain] = {}
        self.mean = _NOTHING
        if len(np.unique(self.block)) > 1:
            self.found = self._gains(self.block)
            self.mean = block_mean(self.rows, self.family.row_loss[self.primary_name], self.block)

    @property
    def block(self) -> Days:
        """Number of the block of each row."""
        return self.rows.day if self._gate.block == "day" else weeks(self.rows.day)

    @property
    def t(self) -> float:
        return self.mean.t

    @property
    def primary(self) -> Gain:
        return self.found[self.primary_name]

    @property
    def weeks(self) -> int:
        return len(np.unique(weeks(self.rows.day)))

    def relative(self, metric: str) -> float:
        """Gain as a share of the champion's figure; 0 without figures, bounded where the champion's is zero."""
        gain = self.found.get(metric)
        if gain is None or gain.gain == 0:
            return 0.0
        return float(np.clip(gain.gain / max(abs(gain.champion), abs(gain.gain) / _MOST), -_MOST, _MOST))

    @property
    def size(self) -> float:
        """Relative gain in the task's first proper score."""
        return self.relative(PROPER_SCORES[self.family.task][0])

    def margins(self, gate: GatePolicy) -> dict[str, float]:
        """Absolute margins of the guards that may decide, in the order of the metrics; those of other tasks fall away."""
        declared = {str(name): margin for name, margin in gate.margins.items()}
        names = [name for name in self.family.higher_is_better if name in declared and name != self.primary_name]
        empty = {"recall"} if self._says_yes_to_all() else set()
        left_out = {*gate.dry, *empty}
        return {name: declared[name] * self._unit(name) for name in names if name not in left_out and name in self.found}

    def _says_yes_to_all(self) -> bool:
        """A champion that learned from one class has a recall that nobody could keep; its accuracy says enough."""
        if self.family.task is not Task.BINARY or not len(self.rows):
            return False
        return float(np.mean(self.rows.champion >= self._threshold)) >= _NEARLY_ALL

    def _unit(self, metric: str) -> float:
        """What the margin of a metric is a share of: 1 in a classification, the champion's figure in a regression."""
        if self.family.task is not Task.REGRESSION or metric == "explained":
            return 1.0
        return float(self.rows.label.std()) if metric == "bias" else self.found[metric].champion

    def comparisons(self, margins: Mapping[str, float]) -> tuple[Comparison, ...]:
        return tuple(_comparison(name, gain, margins.get(name), self._gate) for name, gain in self.found.items())

    def weekly(self) -> tuple[Comparison, ...]:
        """The same metrics with week blocks, but for that of the worst block; empty below the declared number of weeks."""
        if self.weeks < self._gate.min_weeks:
            return ()
        found = self._gains(weeks(self.rows.day))
        return tuple(_comparison(name, gain, None, self._gate) for name, gain in found.items() if name != self.family.worst)

    def _gains(self, block: Days) -> dict[str, Gain]:
        gate = self._gate
        return gains(
            rows=self.rows, threshold=self._threshold, alpha=gate.alpha, resamples=gate.resamples, seed=gate.seed, block=block
        )

    def _shortfalls(self) -> Iterator[str]:
        """What the declared minimum sample lacks, in words."""
        wanted = (
            ("rows with a label", len(self.rows), self._gate.min_rows),
            ("days with labelled rows", self.days, self._gate.min_days),
            *((what, found, self._gate.min_class_rows) for what, found in self._classes()),
        )
        for what, found, least in wanted:
            if found < least:
                yield f"Too few {what}: {found:,} of at least {least:,}."
        if self._gate.block == "week" and self.weeks < self._gate.min_weeks:
            yield f"Too few weeks with labelled rows: {self.weeks} of at least {self._gate.min_weeks}."

    def _classes(self) -> Iterator[tuple[str, int]]:
        """Each class of a binary task; of many classes the second largest: rare ones may be missing."""
        if self.family.task is Task.BINARY:
            positives = int((self.rows.label == 1).sum())
            yield from (("rows with label 1", positives), ("rows with label 0", len(self.rows) - positives))
        if self.family.task is Task.MULTICLASS:
            counts = np.sort(np.bincount(self.rows.label.astype(np.int64), minlength=2))
            yield "rows of the second largest class", int(counts[-2])


def _comparison(name: str, gain: Gain, margin: float | None, gate: GatePolicy) -> Comparison:
    return Comparison(
        metric=name,
        champion=gain.champion,
        challenger=gain.challenger,
        gain=gain.gain,
        low=gain.low,
        high=gain.high,
        margin=margin,
        held=margin is None or within(gain.low if gate.guards == "proven" else gain.gain, gain, margin),
        dry=name in gate.dry,
    )


def within(figure: float, gain: Gain, margin: float) -> bool:
    """Whether a guard's gain, or the low end of it, is no worse than minus its margin, but for rounding."""
    return figure >= -margin - gain.rounding - 1e-12 * margin
