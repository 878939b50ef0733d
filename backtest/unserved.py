"""What was not served, on the rows that followed: so that a decision can be judged by what came after it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtest.arms import InService, served
from backtest.fits import Scorer
from contracts.training import Task
from learning.rows import Floats
from policies.bench_record import BenchRecord

FOLLOWED = 4
"""Periods after a promotion in which the former champion still answers, unseen."""


@dataclass(frozen=True)
class Alternatives:
    """Scores on the rows of one period, in their order."""

    challenger: Floats | None = None
    """Of the blend that the last decision held back; NaN where it has no fit, or the bench recorded only a sample."""
    former: Floats | None = None
    """Of the champion that the last promotion replaced."""


class Unserved:
    """The road not taken, kept only as long as somebody will ask."""

    def __init__(self) -> None:
        self._former: tuple[InService, Sequence[float]] | None = None
        self._left = 0
        self._held: tuple[Sequence[str], Sequence[float]] | None = None

    def promoted(self, service: InService, shift: Sequence[float]) -> None:
        """A challenger took this one's place."""
        self._former, self._left, self._held = (service, shift), FOLLOWED, None

    def held(self, members: Sequence[str], shift: Sequence[float]) -> None:
        """Leave this refit on the bench."""
        self._held = (members, shift)

    def on(self, scorer: Scorer, said: BenchRecord, places: NDArray[np.int64], task: Task) -> Alternatives:
        """Both on the rows of the scorer; `said` is what the members of the last refit say of those at `places`."""
        return Alternatives(self._challenger(said, places, len(scorer), task), self._of_former(scorer, task))

    def _challenger(self, said: BenchRecord, places: NDArray[np.int64], rows: int, task: Task) -> Floats | None:
        if self._held is None:
            return None
        members, shift = self._held
        found = served(said.blended(members, task), shift, task)
        every = np.full((rows, *found.shape[1:]), np.nan)
        every[places] = found
        return every

    def _of_former(self, scorer: Scorer, task: Task) -> Floats | None:
        if self._former is None or not self._left:
            return None
        self._left -= 1
        service, shift = self._former
        margin = service.margin(scorer, task)
        return None if margin is None else served(margin, shift, task)
