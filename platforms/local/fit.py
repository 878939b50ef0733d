"""Fit the members of a challenger: one LightGBM booster for each horizon, the same bytes for the same rows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import TypeAdapter

from contracts.base import Horizon
from contracts.training import LearnerSettings, TrainChallenger
from platforms.errors import TrainingFailed
from platforms.local.dataset import doubles, matrix, read_dataset
from platforms.local.feature_table import EVENT_TIME, LABEL_TIME
from platforms.local.model import Member

_HORIZON: Final[TypeAdapter[Horizon]] = TypeAdapter(Horizon)
_DAY: Final = "%Y-%m-%d %H:%M"


@dataclass(frozen=True)
class Trained:
    """The members, and what the widest of them was trained on."""

    members: tuple[Member, ...]
    rows: int
    positives: int
    skipped: tuple[str, ...]
    """A sentence for each horizon that could not be trained."""


@dataclass(frozen=True)
class _Labelled:
    """Rows whose label had arrived by the job's end; `event_time` in microseconds since 1970."""

    event_time: NDArray[np.int64]
    features: NDArray[np.float64]
    label: NDArray[np.float64]


def train(job: TrainChallenger, say: Callable[[str], None]) -> Trained:
    """Train every horizon of the recipe that has rows of both classes.

    Raises:
        NotFound, Corrupt: the dataset isn't what the job names.
        TrainingFailed: no horizon can be trained, with the reasons.
    """
    rows = _labelled(job)
    members, skipped, widest = [], [], np.zeros(len(rows.label), dtype=bool)
    for horizon in job.recipe.horizons:
        name, chosen = horizon_name(horizon), _within(rows, horizon, job.end)
        if reason := _unfit(rows.label[chosen], horizon, job):
            skipped.append(f"{name} skipped: {reason}")
            continue
        say(f"training horizon {name} on {int(chosen.sum())} rows")
        members.append(Member(horizon=name, trees=_fit(rows, chosen, job)))
        widest |= chosen
    if not members:
        raise TrainingFailed(f"nothing to train on: {'; '.join(skipped)}")
    return Trained(tuple(members), int(widest.sum()), int(rows.label[widest].sum()), tuple(skipped))


def horizon_name(horizon: Horizon) -> str:
    """'P30D' or 'all'."""
    return str(_HORIZON.dump_python(horizon, mode="json"))


def _labelled(job: TrainChallenger) -> _Labelled:
    table = read_dataset(job.dataset, [EVENT_TIME, LABEL_TIME, job.label, *job.features])
    end = pa.scalar(job.end, pa.timestamp("us", tz="UTC"))
    known = pc.and_(pc.less(table[EVENT_TIME], end), pc.less_equal(table[LABEL_TIME], end))
    labelled = table.filter(pc.and_(known, pc.is_valid(table[job.label])))
    return _Labelled(
        event_time=labelled[EVENT_TIME].cast(pa.int64()).to_numpy(),
        features=matrix(labelled, job.features),
        label=doubles(labelled[job.label]),
    )


def _within(rows: _Labelled, horizon: Horizon, end: datetime) -> NDArray[np.bool_]:
    if not isinstance(horizon, timedelta):
        return np.ones(len(rows.label), dtype=bool)
    start = pa.scalar(end - horizon, pa.timestamp("us", tz="UTC")).value
    return np.asarray(rows.event_time >= start, dtype=bool)


def _unfit(label: NDArray[np.float64], horizon: Horizon, job: TrainChallenger) -> str | None:
    """Why nothing can be learned from these rows, or None."""
    start = f"{job.end - horizon:{_DAY}}" if isinstance(horizon, timedelta) else "the beginning"
    between = f"between {start} and {job.end:{_DAY}}"
    wanted = 2 * job.recipe.learner.min_rows_per_leaf
    if len(label) < wanted:
        return f"{len(label)} labelled rows {between}, at least {wanted} wanted"
    if not label.any():
        return f"no positives {between}"
    return f"no negatives {between}" if label.all() else None


def _fit(rows: _Labelled, chosen: NDArray[np.bool_], job: TrainChallenger) -> str:
    learner = job.recipe.learner
    codes = [job.features.index(name) for name in learner.categorical if name in job.features]
    data = lightgbm.Dataset(rows.features[chosen], rows.label[chosen], categorical_feature=codes or "auto")
    booster = lightgbm.train(parameters(learner), data, num_boost_round=learner.rounds)
    return booster.model_to_string()


def parameters(learner: LearnerSettings) -> dict[str, str | int | float | bool]:
    """What LightGBM is told, fixed seed and all: the same rows give the same bytes."""
    return {
        "objective": "binary",
        "learning_rate": learner.learning_rate,
        "num_leaves": learner.num_leaves,
        "min_data_in_leaf": learner.min_rows_per_leaf,
        "seed": learner.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
