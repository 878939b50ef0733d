"""Fit one member of a blend: which rows it learns from and what they weigh. The same rows give the same bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import lightgbm
import numpy as np

from contracts.training import LearnerSettings, MemberRecipe, Task
from learning.rows import Floats, LabelledRows, microseconds
from learning.sampling import sample

_OBJECTIVES: Final = {Task.BINARY: "binary", Task.MULTICLASS: "multiclass", Task.REGRESSION: "regression"}
_MICROSECOND: Final = timedelta(microseconds=1)


class Unfit(Exception):
    """Nothing can be learned from these rows; the message is the reason, in words."""


def fit_member(
    member: MemberRecipe,
    rows: LabelledRows,
    *,
    end: datetime,
    learner: LearnerSettings,
    categorical: Sequence[int] = (),
    task: Task = Task.BINARY,
    classes: int = 2,
    begun: str | None = None,
) -> str:
    """LightGBM's text of the member as of `end`; no row at or after it is read.

    `categorical` are columns that hold codes; `classes` counts only for a multiclass task. `begun` is the text of the same
    member without its boost, where that was fitted already. One thread, so that two members may be fitted side by side.

    Raises:
        Unfit: too few rows, or nothing to tell apart.
    """
    lesson = _Lesson(learner, tuple(categorical), task, classes)
    if member.boost is None or begun is None:
        begun = lesson.fitted(rows.within(member.horizon, end), end, member.half_life)
    return begun if member.boost is None else lesson.boosted(begun, rows.within(member.boost, end))


@dataclass(frozen=True)
class _Lesson:
    """What all fits of an endpoint have in common."""

    learner: LearnerSettings
    categorical: tuple[int, ...]
    task: Task
    classes: int

    def fitted(self, rows: LabelledRows, end: datetime, half_life: timedelta | None) -> str:
        """Raises: Unfit."""
        if reason := unfit(rows.label, self.learner, self.task):
            raise Unfit(reason)
        rows = sample(rows, self.learner.max_rows)
        weight = None if half_life is None else _faded(rows, end, half_life)
        return self._trained(rows, weight, self.learner.rounds, None)

    def boosted(self, begun: str, rows: LabelledRows) -> str:
        """A few more rounds on the newest rows; where these teach nothing, the first rounds stand alone."""
        if unfit(rows.label, self.learner, self.task):
            return begun
        first = lightgbm.Booster(model_str=begun)
        return self._trained(sample(rows, self.learner.max_rows), None, self.learner.boost_rounds, first)

    def _trained(self, rows: LabelledRows, weight: Floats | None, rounds: int, first: lightgbm.Booster | None) -> str:
        told = parameters(self.learner, self.task, self.classes)
        data = lightgbm.Dataset(rows.features, rows.label, weight=weight, categorical_feature=list(self.categorical) or "auto")
        return lightgbm.train(told, data, num_boost_round=rounds, init_model=first).model_to_string()


def margins(booster: lightgbm.Booster, matrix: Floats, task: Task) -> Floats:
    """What a member says, before the blend: log-odds (n,), log-probabilities (n, K), or the number (n,) of a regression."""
    raw = np.asarray(booster.predict(matrix, raw_score=True, num_threads=1), dtype=np.float64)
    if task is not Task.MULTICLASS:
        return raw
    raw = raw - raw.max(axis=1, keepdims=True)
    return np.asarray(raw - np.log(np.exp(raw).sum(axis=1, keepdims=True)), dtype=np.float64)


def parameters(learner: LearnerSettings, task: Task = Task.BINARY, classes: int = 2) -> dict[str, str | int | float | bool]:
    """What LightGBM is told, fixed seed and all."""
    told: dict[str, str | int | float | bool] = {
        "objective": _OBJECTIVES[task],
        "learning_rate": learner.learning_rate,
        "num_leaves": learner.num_leaves,
        "min_data_in_leaf": learner.min_rows_per_leaf,
        "seed": learner.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    return told | {"num_class": classes} if task is Task.MULTICLASS else told


def unfit(label: Floats, learner: LearnerSettings, task: Task) -> str | None:
    """Why nothing can be learned from rows with these labels, or None."""
    wanted = 2 * learner.min_rows_per_leaf
    if len(label) < wanted:
        return f"{len(label)} labelled rows, at least {wanted} wanted"
    if label.min() < label.max():
        return None
    if task is Task.REGRESSION:
        return f"every label is {label[0]:g}"
    if task is Task.MULTICLASS:
        return f"only one class, number {label[0]:g}"
    return "no negatives" if label[0] else "no positives"


def _faded(rows: LabelledRows, end: datetime, half_life: timedelta) -> Floats:
    """Weights by age: half for each half-life, shape (n,)."""
    age = (microseconds(end) - rows.event_time) / (half_life // _MICROSECOND)
    return np.asarray(0.5**age, dtype=np.float64)
