"""What homeostat is held against, computed offline on the same hours.

*Never*: the champion that the loop itself put into service first, kept for ever. *Weekly*: a new model each week from the
last 30 days, by the same learner, shipped without being judged. Both are free of the loop's cost and of its failures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import lightgbm
import numpy as np
from numpy.typing import NDArray

from contracts.training import LearnerSettings
from demo.data import LABEL_DELAY, WEEK, Hours
from learning.fit import parameters
from platforms.tabular.artifact_file import load_model
from policies.blend import LIMIT

Scores = NDArray[np.float64]
WINDOW = timedelta(days=30)


@dataclass(frozen=True)
class Baselines:
    """Scores of the two other ways for the replayed hours, each of shape (n,)."""

    never: Scores
    weekly: Scores

    def first(self, rows: int) -> Self:
        return type(self)(self.never[:rows], self.weekly[:rows])


def baselines(data: Hours, replayed: Hours, first_champion: Path, learner: LearnerSettings) -> Baselines:
    """`data` holds the history as well; `first_champion` is its model file."""
    never = load_model(first_champion, None).score(replayed.features)
    start, end = replayed.event_time[0], replayed.event_time[-1]
    return Baselines(never=never, weekly=np.concatenate(list(_weekly(data, start, end, learner))))


def _weekly(data: Hours, start: datetime, end: datetime, learner: LearnerSettings) -> Iterator[Scores]:
    while start <= end:
        known = data.between(start - WINDOW, start - LABEL_DELAY + timedelta(microseconds=1))
        rows = lightgbm.Dataset(known.features, known.busy)
        booster = lightgbm.train(parameters(learner), rows, num_boost_round=learner.rounds)
        week = data.between(start, start + WEEK).features
        logits = np.asarray(booster.predict(week, raw_score=True, num_threads=1), dtype=np.float64)
        yield 1 / (1 + np.exp(-np.clip(logits, -LIMIT, LIMIT)))
        start += WEEK
