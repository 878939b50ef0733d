"""The simple habits that homeostat is held against: never retrained, and refitted each period on one horizon."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import lightgbm
import numpy as np

from backtest.fits import Fits, Learning, Scorer
from contracts.training import MemberRecipe, Task
from learning.rows import Floats
from policies.blend import blend, blended_margin, linked

HABITS: dict[str, MemberRecipe] = {
    "never": MemberRecipe(horizon="all"),
    "weekly30": MemberRecipe(horizon=timedelta(days=30)),
    "weekly90": MemberRecipe(horizon=timedelta(days=90)),
    "weekly_all": MemberRecipe(horizon="all"),
}
"""By the name of the arm; 'weekly' means each period, 'never' keeps its first fit."""
HOMEOSTAT = "homeostat"
ARMS = (*HABITS, HOMEOSTAT)


@dataclass
class Habit:
    """One habit with the model that it has in service."""

    name: str
    member: str
    booster: lightgbm.Booster | None = None
    promotions: int = 0

    def renew(self, fits: Fits) -> None:
        """Take this moment's fit; where there is none, the old one stays. The first model is no promotion."""
        found = fits.boosters.get(self.member)
        if found is None or (self.booster is not None and self.name == "never"):
            return
        self.promotions += self.booster is not None
        self.booster = found

    def scores(self, scorer: Scorer, task: Task) -> Floats | None:
        """None where there is no model yet."""
        return None if self.booster is None else blend(scorer.margins([self.booster]), task=task, shift=np.zeros(1))


@dataclass
class InService:
    """What homeostat serves: the boosters of a blend and a shift."""

    boosters: dict[str, lightgbm.Booster] = field(default_factory=dict)

    def margin(self, scorer: Scorer, task: Task) -> Floats | None:
        """The blend's margin without a shift; None where nothing was ever fitted."""
        return blended_margin(scorer.margins(list(self.boosters.values())), task=task) if self.boosters else None


def habits() -> list[Habit]:
    return [Habit(name=name, member=member.name) for name, member in HABITS.items()]


def prior(label: Floats, learning: Learning) -> Floats:
    """What is answered before there is a model: the mean label, or the classes' shares; shape (1,) or (K,)."""
    if learning.task is Task.MULTICLASS:
        count = np.bincount(label.astype(np.int64), minlength=learning.classes) + 1.0
        return np.asarray(count / count.sum(), dtype=np.float64)
    if learning.task is Task.BINARY:
        return np.array([(label.sum() + 1.0) / (len(label) + 2.0)])
    return np.array([label.mean() if len(label) else 0.0])


def prior_scores(prior: Floats, rows: int, task: Task) -> Floats:
    """The same answer for every row."""
    return np.tile(prior, (rows, 1)) if task is Task.MULTICLASS else np.full(rows, prior[0])


def named(members: Sequence[MemberRecipe]) -> tuple[MemberRecipe, ...]:
    """The members with those of the habits that are not among them."""
    there = {member.name: member for member in (*members, *HABITS.values())}
    return tuple(there.values())


def served(margin: Floats, shift: Sequence[float], task: Task) -> Floats:
    """Scores of a margin under the shift in service."""
    return linked(margin + np.asarray(shift), task=task)
