"""Which blend would serve best: chosen on half a year of the record, unless the newest weeks say clearly otherwise.

After an abrupt change half a year is the wrong teacher. So shorter and shorter stretches at the end of the record are
looked at in turn, and each may overrule the longer one before it, by a gain that has to be the larger the shorter it is, and
beyond chance. Where one did, only the rows of that stretch are evidence for the gate.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from contracts.bench import BenchPolicy
from contracts.evaluation import GatePolicy
from contracts.training import Recipe, Task
from policies.bench_record import BenchRecord, Times, complete, microseconds, row_loss
from policies.blend import linked
from policies.metrics import Floats

_DAY = 86_400_000_000
_MOSTLY = 0.9
"""A blend takes part when it could answer this share of the rows that the first one answered."""
_FLEETING = timedelta(days=90)


@dataclass(frozen=True)
class Choice:
    """The blend, and how far back the rows lie that speak for it."""

    blend: str
    evidence: timedelta


@dataclass(frozen=True)
class BlendLosses:
    """What each blend lost on the rows that all of them answered, day by day; there may be no day."""

    day: Times
    rows: Floats
    """Of each day."""
    total: Mapping[str, Floats]

    def since(self, moment: datetime) -> "BlendLosses":
        keep = self.day >= microseconds(moment) // _DAY
        return BlendLosses(self.day[keep], self.rows[keep], {name: total[keep] for name, total in self.total.items()})

    def enough(self, gate: GatePolicy) -> bool:
        return bool(self.rows.sum() >= gate.min_rows) and len(self.day) >= gate.min_days

    @property
    def means(self) -> dict[str, float]:
        """Mean loss of a row, at least one row."""
        return {name: float(total.sum() / self.rows.sum()) for name, total in self.total.items()}

    def t(self, better: str, worse: str) -> float:
        """Day-block t of the difference; 0 where nothing varies."""
        gain = self.total[worse] - self.total[better]
        off = gain - gain.sum() / self.rows.sum() * self.rows
        error = float(np.sqrt((off**2).sum() * len(gain) / max(len(gain) - 1, 1)))
        return float(gain.sum()) / error if error > 0 else 0.0


def blend_losses(*, known: BenchRecord, since: datetime, blends: Mapping[str, tuple[str, ...]], task: Task) -> BlendLosses:
    """Of every blend that could answer most of the rows; the first blend's rows are the measure."""
    rows = known.newer(since)
    margins = {name: rows.blended(members, task) for name, members in blends.items()}
    first = complete(next(iter(margins.values())))
    part = {name: m for name, m in margins.items() if complete(m)[first].sum() >= _MOSTLY * first.sum()}
    there = np.logical_and.reduce([complete(margin) for margin in part.values()])
    day, place, count = np.unique(rows.day[there], return_inverse=True, return_counts=True)

    def by_day(margin: Floats) -> Floats:
        lost = row_loss(rows.label[there], linked(margin[there], task=task), task)
        return np.asarray(np.bincount(place, weights=lost, minlength=len(day)), dtype=np.float64)

    return BlendLosses(day, count.astype(np.float64), {name: by_day(margin) for name, margin in part.items()})


def choose(*, losses: BlendLosses, present: str, now: datetime, recipe: Recipe, policy: BenchPolicy, gate: GatePolicy) -> Choice:
    """`present` is the blend that was chosen before; without enough rows it stays."""
    first = next(iter(losses.total))
    if not losses.enough(gate):
        return Choice(present if present in losses.total else first, policy.evidence)
    fleeting = _fleeting(recipe)
    lasting = {name: mean for name, mean in losses.means.items() if name not in fleeting or name == first}
    found = Choice(_over_all(lasting, first, present, policy.selection_gain), policy.evidence)
    for length, part in _newest(losses, now, policy, gate):
        means = part.means
        best = min(means, key=means.__getitem__)
        gain = policy.selection_gain * (policy.selection / length) ** 0.5
        if (
            best != found.blend
            and means[best] <= means[found.blend] * (1 - gain)
            and part.t(best, found.blend) >= policy.overrule_t
        ):
            found = Choice(best, min(policy.evidence, length))
    return found


def _newest(losses: BlendLosses, now: datetime, policy: BenchPolicy, gate: GatePolicy) -> Iterator[tuple[timedelta, BlendLosses]]:
    """The stretches at the end that hold enough rows, the longest first."""
    for length in sorted(policy.overrules, reverse=True):
        part = losses.since(now - length)
        if part.enough(gate):
            yield length, part


def _over_all(means: Mapping[str, float], first: str, present: str, least: float) -> str:
    """The best blend, where it beats the first by the declared share; a present choice stays while it is near the best."""
    best = min(means, key=means.__getitem__)
    near = means[best] * (1 + least / 2)
    if present in means and means[present] <= min(near, means[first]):
        return present
    return best if means[best] <= means[first] * (1 - least) else first


def _fleeting(recipe: Recipe) -> set[str]:
    """Blends of short horizons alone. They age fast in service, so a long record of fresh refits flatters them."""
    short = {m.name for m in recipe.blended if isinstance(m.horizon, timedelta) and m.horizon <= _FLEETING}
    return {name for name, members in recipe.blends.items() if set(members) <= short}
