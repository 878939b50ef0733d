"""The fits of one moment: every member of the recipe and of the habits, each distinct one made once."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import lightgbm
import numpy as np
from numpy.typing import NDArray

from contracts.training import LearnerSettings, MemberRecipe, Task
from learning.fit import Unfit, fit_member, margins
from learning.rows import Floats, LabelledRows

_THREADS = 2


@dataclass(frozen=True)
class Learning:
    """What all fits of a backtest have in common."""

    members: tuple[MemberRecipe, ...]
    learner: LearnerSettings
    categorical: tuple[int, ...] = ()
    """Columns that hold codes."""
    task: Task = Task.BINARY
    classes: int = 2

    def shape(self, rows: int) -> tuple[int, ...]:
        """Shape of so many rows' margins."""
        return (rows, self.classes) if self.task is Task.MULTICLASS else (rows,)


@dataclass(frozen=True)
class Fits:
    """The members that could be fitted, by name, and why the others could not."""

    boosters: dict[str, lightgbm.Booster] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


class Scorer:
    """Margins on the rows of one period; every booster is asked once, two side by side."""

    def __init__(self, matrix: Floats, learning: Learning) -> None:
        self._matrix, self._learning = matrix, learning
        self._found: dict[int, Floats] = {}

    def __len__(self) -> int:
        return len(self._matrix)

    def margins(self, boosters: Sequence[lightgbm.Booster]) -> list[Floats]:
        """What each of them says, shape (n,) or (n, K)."""
        new = list({id(one): one for one in boosters if id(one) not in self._found}.values())
        with ThreadPoolExecutor(_THREADS) as pool:
            self._found.update(zip(map(id, new), pool.map(self._asked, new), strict=True))
        return [self._found[id(one)] for one in boosters]

    def _asked(self, booster: lightgbm.Booster) -> Floats:
        rows = len(self._matrix)
        return margins(booster, self._matrix, self._learning.task) if rows else np.zeros(self._learning.shape(0))

    def some(self, places: NDArray[np.int64]) -> "Scorer":
        """The same for some of the rows; what was asked is not asked again."""
        if len(places) == len(self._matrix):
            return self
        part = Scorer(self._matrix[places], self._learning)
        part._found = {key: found[places] for key, found in self._found.items()}
        return part


def fit_all(rows: LabelledRows, end: datetime, learning: Learning) -> Fits:
    """Fit every member as of `end`, two side by side, the longest first. Members with the same rows and weights share a fit."""
    plain = {_key(member, rows, end): _unboosted(member) for member in learning.members}
    boosted = [member for member in learning.members if member.boost is not None]
    begun = {_key(member, rows, end) for member in boosted}
    longest_first = sorted(plain, key=lambda key: (key in begun, key[0]), reverse=True)
    with ThreadPoolExecutor(_THREADS) as pool:
        first = {key: pool.submit(_text, plain[key], rows, end, learning, None) for key in longest_first}
        more = {
            member.name: pool.submit(_boosted, member, rows, end, learning, first[_key(member, rows, end)]) for member in boosted
        }
    texts = {key: future.result() for key, future in first.items()}
    found = {name: future.result() for name, future in more.items()}
    return _loaded({member.name: found.get(member.name, texts[_key(member, rows, end)]) for member in learning.members})


def _key(member: MemberRecipe, rows: LabelledRows, end: datetime) -> tuple[int, object]:
    """All windows end at the same moment, so as many rows are the same rows."""
    return len(rows.within(member.horizon, end)), member.half_life


def _unboosted(member: MemberRecipe) -> MemberRecipe:
    return member.model_copy(update={"boost": None})


def _boosted(
    member: MemberRecipe, rows: LabelledRows, end: datetime, learning: Learning, begun: "Future[str | Unfit]"
) -> str | Unfit:
    """The first rounds stand before it in the pool, so that what it waits for is under way at least."""
    return _text(member, rows, end, learning, begun.result())


def _text(member: MemberRecipe, rows: LabelledRows, end: datetime, learning: Learning, begun: str | Unfit | None) -> str | Unfit:
    if isinstance(begun, Unfit):
        return begun
    try:
        return fit_member(
            member,
            rows,
            end=end,
            learner=learning.learner,
            categorical=learning.categorical,
            task=learning.task,
            classes=learning.classes,
            begun=begun,
        )
    except Unfit as reason:
        return reason


def _loaded(texts: dict[str, str | Unfit]) -> Fits:
    fitted = {name: text for name, text in texts.items() if isinstance(text, str)}
    by_text = {text: lightgbm.Booster(model_str=text) for text in set(fitted.values())}
    return Fits(
        boosters={name: by_text[text] for name, text in fitted.items()},
        skipped={name: str(reason) for name, reason in texts.items() if isinstance(reason, Unfit)},
    )
