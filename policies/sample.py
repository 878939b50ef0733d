"""The labelled rows that a comparison rests on, with every metric of both models."""

from collections.abc import Iterator, Mapping

from contracts.evaluation import Comparison, GatePolicy
from policies import metrics
from policies.bootstrap import HIGHER_IS_BETTER, Gain, day_t, gains
from policies.paired import PairedScores

_ROW_LOSS = {"log_loss": metrics.row_log_loss, "brier": metrics.row_brier}
_LEAST = 1e-9
"""Stands in for a champion's loss of zero, so that a relative gain stays finite."""


class Sample:
    """One comparison: rows with labels, gains with intervals, the primary's t. Empty figures below two days of rows."""

    def __init__(self, scores: PairedScores, gate: GatePolicy, threshold: float) -> None:
        self.rows = scores.labelled()
        self.days = self.rows.days
        self._gate = gate
        self.shortfalls = tuple(self._shortfalls())
        self.found: dict[str, Gain] = {}
        self.t = 0.0
        if self.days > 1:
            self.found = gains(rows=self.rows, threshold=threshold, alpha=gate.alpha, resamples=gate.resamples, seed=gate.seed)
            self.t = day_t(self.rows, _ROW_LOSS[gate.primary])

    @property
    def primary(self) -> Gain:
        return self.found[self._gate.primary]

    def relative(self, metric: str) -> float:
        """Gain as a share of the champion's loss; 0 without figures."""
        gain = self.found.get(metric)
        return gain.gain / max(gain.champion, _LEAST) if gain else 0.0

    def comparisons(self, margins: Mapping[str, float]) -> tuple[Comparison, ...]:
        return tuple(_comparison(name, self.found[name], margins.get(name)) for name in HIGHER_IS_BETTER if name in self.found)

    def _shortfalls(self) -> Iterator[str]:
        """What the declared minimum sample lacks, in words."""
        positives = int((self.rows.label == 1).sum())
        wanted = (
            ("rows with a label", len(self.rows), self._gate.min_rows),
            ("days with labelled rows", self.days, self._gate.min_days),
            ("rows with label 1", positives, self._gate.min_class_rows),
            ("rows with label 0", len(self.rows) - positives, self._gate.min_class_rows),
        )
        for what, found, least in wanted:
            if found < least:
                yield f"Too few {what}: {found:,} of at least {least:,}."


def _comparison(name: str, gain: Gain, margin: float | None) -> Comparison:
    return Comparison(
        metric=name,
        champion=gain.champion,
        challenger=gain.challenger,
        gain=gain.gain,
        low=gain.low,
        high=gain.high,
        margin=margin,
        held=margin is None or within(gain, margin),
    )


def within(gain: Gain, margin: float) -> bool:
    """Whether a guard holds: its gain is no worse than minus its margin, but for rounding."""
    return gain.gain >= -margin - 1e-12
