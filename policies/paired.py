"""Scores of champion and challenger on the same rows: what the gate looks at."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from policies.metrics import Floats

Days = NDArray[np.int64]


def checked_scores(name: str, score: Floats, shape: tuple[int, ...]) -> None:
    """Raises ValueError unless `score` has this shape and holds probabilities: NaN, infinity and 1.2 are refused."""
    if score.shape != shape or score.ndim != 1:
        raise ValueError(f"scores of the {name} have shape {score.shape}; wanted {shape}, one dimension")
    wrong = score[~((score >= 0) & (score <= 1))]
    if wrong.size:
        raise ValueError(f"scores of the {name} must lie in [0, 1]; {wrong.size} do not, the first is {wrong[0]}")


@dataclass(frozen=True)
class PairedScores:
    """One row per request, every array of shape (n,), n may be 0.

    Raises ValueError where an array has another length, a score is not a finite number in [0, 1],
    or a label is none of 0, 1 and NaN: a gate that repairs its evidence can't be trusted.
    """

    day: Days
    """Days since 1970-01-01 of the event time."""
    label: Floats
    """0, 1, or NaN where no label has arrived."""
    champion: Floats
    challenger: Floats

    def __post_init__(self) -> None:
        if self.day.ndim != 1 or not np.issubdtype(self.day.dtype, np.integer):
            raise ValueError(f"day must be whole days of shape (n,); found {self.day.dtype} of shape {self.day.shape}")
        if self.label.shape != self.day.shape:
            raise ValueError(f"label has shape {self.label.shape}, day has {self.day.shape}")
        checked_scores("champion", self.champion, self.day.shape)
        checked_scores("challenger", self.challenger, self.day.shape)
        strange = self.label[~np.isnan(self.label) & (self.label != 0) & (self.label != 1)]
        if strange.size:
            raise ValueError(f"labels must be 0, 1 or NaN; found {strange[0]}")

    def __len__(self) -> int:
        return len(self.day)

    @classmethod
    def empty(cls) -> Self:
        """No rows: nothing was replayed."""
        none = np.zeros(0)
        return cls(day=np.zeros(0, dtype=np.int64), label=none, champion=none, challenger=none)

    @property
    def days(self) -> int:
        """Days with at least one row."""
        return len(np.unique(self.day))

    def labelled(self) -> "PairedScores":
        """The rows whose label is known, in an order that depends on their content alone.

        The order makes every sum, and so the verdict, independent of how the rows were stored.
        """
        known = ~np.isnan(self.label)
        order = np.lexsort((self.challenger[known], self.champion[known], self.label[known], self.day[known]))
        return PairedScores(
            day=self.day[known][order],
            label=self.label[known][order],
            champion=self.champion[known][order],
            challenger=self.challenger[known][order],
        )
