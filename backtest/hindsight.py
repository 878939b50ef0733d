"""Was a decision right? Judged by the labels of what followed, which nobody had when it was made.

A promotion is right when the former champion, still asked unseen, would have served worse in the periods after it. A hold is
right when the blend that was held back would not have served better in the next period. Days are blocks; what chance could
have made is called unclear.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np

from backtest.arms import HOMEOSTAT
from backtest.engine import Decision, Outcome
from contracts.training import Task
from learning.rows import Floats
from policies.bench_record import complete, row_loss
from policies.chance import student_quantile
from policies.paired import Days

_DAY = 86_400_000_000


class Proved(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Verdict:
    """What followed, as the loss of the road not taken minus the loss of the one taken; above 0 the decision was right."""

    proved: Proved
    gain: float
    low: float
    high: float
    rows: int


@dataclass
class Judged:
    """One decision and what followed it."""

    decision: Decision
    period: int
    """Number of the period at whose end it was made."""
    verdict: Verdict | None = None
    """None where nothing with a label followed."""
    _days: list[Days] = field(default_factory=list)
    _gains: list[Floats] = field(default_factory=list)

    def add(self, day: Days, gain: Floats) -> None:
        self._days.append(day)
        self._gains.append(gain)

    def close(self) -> None:
        if self._gains:
            self.verdict = proved(np.concatenate(self._days), np.concatenate(self._gains))
        self._days, self._gains = [], []


class Hindsight:
    """Follows each decision through the periods after it."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.decisions: list[Judged] = []
        self._promotion: Judged | None = None
        self._hold: Judged | None = None

    def take(self, number: int, outcome: Outcome) -> None:
        """The period's rows judge earlier decisions; then its own decision begins to be followed."""
        if self._promotion is not None:
            self._compare(self._promotion, outcome, outcome.unserved.former)
        if self._hold is not None:
            self._compare(self._hold, outcome, outcome.unserved.challenger)
            self._hold.close()
            self._hold = None
        if outcome.decision is not None:
            self._follow(Judged(outcome.decision, number))

    def closed(self) -> Sequence[Judged]:
        """All decisions in their order; nothing more follows."""
        for open_one in (self._promotion, self._hold):
            if open_one is not None:
                open_one.close()
        return self.decisions

    def _follow(self, judged: Judged) -> None:
        self.decisions.append(judged)
        if not judged.decision.promoted:
            self._hold = judged
            return
        if self._promotion is not None:
            self._promotion.close()
        self._promotion = judged

    def _compare(self, judged: Judged, outcome: Outcome, other: Floats | None) -> None:
        if other is None:
            return
        label = outcome.period.label
        there = ~np.isnan(label) & complete(other)
        if there.any():
            taken = row_loss(label[there], outcome.scores[HOMEOSTAT][there], self._task)
            turned_down = row_loss(label[there], other[there], self._task)
            judged.add(outcome.period.event_time[there] // _DAY, turned_down - taken)


def proved(day: Days, gain: Floats) -> Verdict:
    """A 95 % interval over days; a single day proves nothing."""
    _, index = np.unique(day, return_inverse=True)
    count = np.bincount(index)
    mean, blocks = float(gain.mean()), len(count)
    if blocks < 2:  # noqa: PLR2004 - one block has no spread
        return Verdict(Proved.UNCLEAR, mean, -np.inf, np.inf, len(gain))
    total = np.bincount(index, weights=gain)
    error = float(np.sqrt(blocks / (blocks - 1) * ((total - mean * count) ** 2).sum()) / count.sum())
    reach = student_quantile(0.025, blocks - 1) * error
    found = Proved.RIGHT if mean - reach > 0 else Proved.WRONG if mean + reach < 0 else Proved.UNCLEAR
    return Verdict(found, mean, mean - reach, mean + reach, len(gain))


def counts(decisions: Sequence[Judged], *, promoted: bool) -> dict[str, int]:
    """How many were right, wrong, unclear, or followed by nothing; and how many had the mean against them."""
    chosen = [one for one in decisions if one.decision.promoted is promoted]
    found = dict.fromkeys((*Proved, "unjudged"), 0)
    for one in chosen:
        found[one.verdict.proved if one.verdict else "unjudged"] += 1
    worse = sum(one.verdict is not None and one.verdict.gain < 0 for one in chosen)
    return {"total": len(chosen), **{str(name): count for name, count in found.items()}, "worse_on_average": worse}


def promotions(decisions: Sequence[Judged]) -> Iterator[tuple[datetime, Judged]]:
    for one in decisions:
        if one.decision.promoted:
            yield one.decision.at, one
