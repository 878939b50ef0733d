"""What every arm answered over the whole history, kept on disk: memory holds one pair of arms at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from backtest.arms import ARMS
from backtest.engine import Outcome
from contracts.training import Task
from learning.rows import Floats
from policies.paired import Days, PairedScores

_DAY = 86_400_000_000


class KeptScores:
    """Labelled rows alone, in the order in which they were served."""

    def __init__(self, folder: Path, task: Task, classes: int, slices: Sequence[str]) -> None:
        self._folder, self._task, self._slices = folder, task, tuple(slices)
        self._width = classes if task is Task.MULTICLASS else 1
        self.rows = 0

    def add(self, outcome: Outcome) -> None:
        known = ~np.isnan(outcome.period.label)
        self.rows += int(known.sum())
        self._append("label", outcome.period.label[known])
        self._append("day", (outcome.period.event_time[known] // _DAY).astype(np.float64))
        for arm in ARMS:
            self._append(arm, outcome.scores[arm][known])
        if outcome.period.slices is not None:
            for at, _ in enumerate(self._slices):
                self._append(f"slice{at}", outcome.period.slices[known, at])

    def _append(self, name: str, values: Floats) -> None:
        with (self._folder / f"{name}.scores").open("ab") as file:
            np.ascontiguousarray(values, dtype=np.float64).tofile(file)

    def column(self, name: str) -> Floats:
        path = self._folder / f"{name}.scores"
        return np.fromfile(path, dtype=np.float64) if path.exists() else np.zeros(0)

    def scores(self, arm: str) -> Floats:
        """Shape (n,), or (n, k) of a multiclass task."""
        found = self.column(arm)
        return found.reshape(-1, self._width) if self._task is Task.MULTICLASS else found

    def paired(self, one: str, other: str) -> PairedScores:
        """Two arms on the same rows, the first in the champion's place."""
        return PairedScores(
            day=self.column("day").astype(np.int64),
            label=self.column("label"),
            champion=self.scores(one),
            challenger=self.scores(other),
            task=self._task,
        )

    def slices(self) -> Iterator[tuple[str, Days]]:
        """Name of the slicing column and each row's value; -1 where it is missing."""
        for at, name in enumerate(self._slices):
            yield name, np.nan_to_num(self.column(f"slice{at}"), nan=-1.0).astype(np.int64)
