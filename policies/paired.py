"""Scores of champion and challenger on the same rows: what the gate looks at."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contracts.training import Task
from policies.metrics import Floats

Days = NDArray[np.int64]
Places = NDArray[np.intp]

LARGEST = 1e60
"""Numbers of a regression beyond this would overflow once squared twice."""
_SUM_TO_ONE = 1e-6


def checked_scores(name: str, score: Floats, shape: tuple[int, ...], task: Task = Task.BINARY) -> None:
    """Raises ValueError unless `score` has this shape and holds what the task scores: NaN and infinity are always refused.

    `shape` is that of the labels, (n,); the scores of a multiclass task have shape (n, k) and sum to 1 in each row.
    """
    wanted = 2 if task is Task.MULTICLASS else 1
    if score.ndim != wanted or score.shape[:1] != shape or len(shape) != 1:
        raise ValueError(f"scores of the {name} have shape {score.shape}; wanted {shape}, dimensions {wanted}")
    if task is Task.REGRESSION:
        _check_range(name, score, -LARGEST, LARGEST)
        return
    _check_range(name, score, 0, 1)
    if task is Task.MULTICLASS:
        _check_sums(name, score)


def _check_range(name: str, score: Floats, low: float, high: float) -> None:
    wrong = score[~((score >= low) & (score <= high))]
    if wrong.size:
        raise ValueError(f"scores of the {name} must lie in [{low:g}, {high:g}]; {wrong.size} do not, the first is {wrong[0]}")


def _check_sums(name: str, score: Floats) -> None:
    if score.shape[1] < 2:  # noqa: PLR2004 - one class leaves nothing to tell apart
        raise ValueError(f"scores of the {name} have {score.shape[1]} class; a multiclass task has at least two")
    off = np.abs(score.sum(axis=1) - 1) > _SUM_TO_ONE
    if off.any():
        raise ValueError(f"scores of the {name} must sum to 1 in each row; {int(off.sum())} rows do not")


def labelled(label: Floats, task: Task, classes: int = 2) -> NDArray[np.bool_]:
    """Mask of the rows whose label is known and one that the task has."""
    if task is Task.REGRESSION:
        return np.abs(label) <= LARGEST
    return np.isin(label, np.arange(classes if task is Task.MULTICLASS else 2))


@dataclass(frozen=True)
class PairedScores:
    """One row per request, n may be 0; day and label have shape (n,), scores (n,), or (n, k) in a multiclass task.

    Raises ValueError where an array has another length, a score is none that the task can have, or a label is neither
    NaN nor one of the task: a gate that repairs its evidence can't be trusted.
    """

    day: Days
    """Days since 1970-01-01 of the event time."""
    label: Floats
    """0 or 1, the class number, or any finite number, as the task says; NaN where no label has arrived."""
    champion: Floats
    challenger: Floats
    task: Task = Task.BINARY

    def __post_init__(self) -> None:
        if self.day.ndim != 1 or not np.issubdtype(self.day.dtype, np.integer):
            raise ValueError(f"day must be whole days of shape (n,); found {self.day.dtype} of shape {self.day.shape}")
        if self.label.shape != self.day.shape:
            raise ValueError(f"label has shape {self.label.shape}, day has {self.day.shape}")
        checked_scores("champion", self.champion, self.day.shape, self.task)
        checked_scores("challenger", self.challenger, self.day.shape, self.task)
        if self.champion.shape != self.challenger.shape:
            raise ValueError(f"champion's scores have shape {self.champion.shape}, challenger's {self.challenger.shape}")
        self._check_labels()

    def _check_labels(self) -> None:
        classes = self.champion.shape[1] if self.task is Task.MULTICLASS else 2
        strange = self.label[~np.isnan(self.label) & ~labelled(self.label, self.task, classes)]
        if strange.size:
            wanted = "0, 1" if classes == 2 else f"0 to {classes - 1}"  # noqa: PLR2004 - two classes
            wanted = f"numbers of at most {LARGEST:g}" if self.task is Task.REGRESSION else wanted
            raise ValueError(f"labels must be {wanted} or NaN; found {strange[0]}")

    def __len__(self) -> int:
        return len(self.day)

    @classmethod
    def empty(cls) -> Self:
        """No rows: nothing was replayed. It fits every task."""
        none = np.zeros(0)
        return cls(day=np.zeros(0, dtype=np.int64), label=none, champion=none, challenger=none)

    @property
    def days(self) -> int:
        """Days with at least one row."""
        return len(np.unique(self.day))

    def known(self) -> Places:
        """Places of the rows whose label is known, in an order that depends on their content alone.

        The order makes every sum, and so the verdict, independent of how the rows were stored.
        """
        there = np.flatnonzero(~np.isnan(self.label))
        keys = (*_columns(self.challenger[there]), *_columns(self.champion[there]), self.label[there], self.day[there])
        return there[np.lexsort(keys)]

    def labelled(self) -> "PairedScores":
        """The rows whose label is known, in the order of `known`."""
        return self.chosen(self.known())

    def chosen(self, places: NDArray[np.intp] | NDArray[np.bool_]) -> "PairedScores":
        """These rows alone."""
        return PairedScores(
            day=self.day[places],
            label=self.label[places],
            champion=self.champion[places],
            challenger=self.challenger[places],
            task=self.task,
        )


def _columns(score: Floats) -> tuple[Floats, ...]:
    return (score,) if score.ndim == 1 else tuple(score.T)
