"""Rows, requests and jobs for the ports that hold data and models. A second platform is one more line in PLATFORMS."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from contracts.snapshot import CoveragePolicy, DataPolicy, Snapshot, TakeSnapshot
from contracts.training import (
    Challenger,
    JobPhase,
    JobState,
    LearnerSettings,
    ModelCard,
    ModelRef,
    Purpose,
    Recipe,
    Tags,
    TrainChallenger,
)
from platforms.aws.objects import Objects
from platforms.aws.registry import AwsRegistry
from platforms.aws.scorer import AwsScorer
from platforms.aws.trainer import AwsTrainer
from platforms.local.feature_store import LocalFeatureStore
from platforms.local.registry import LocalRegistry
from platforms.local.scorer import LocalScorer
from platforms.local.trainer import LocalTrainer
from platforms.ports import FeatureStore, ModelRegistry, Scorer, Trainer
from tests.aws.places import account_at
from tests.platforms.feature_fixtures import aws_features

START = datetime(2012, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TAGS = Tags(endpoint="bikes", incident="20120304T000000Z-1f2e3d", team="mobility", cost_center="m-1")
DATA = DataPolicy(table="bikes", features=("hour", "temp"), label="busy", label_delay=DAY)
LEARNER = LearnerSettings(rounds=20, num_leaves=7, min_rows_per_leaf=10)
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class DataPlatform:
    """The ports under test, and the way in which rows get into this platform."""

    features: FeatureStore
    trainer: Trainer
    registry: ModelRegistry
    scorer: Scorer
    append: Callable[[str, pa.Table], Any]


def local_platform(home: Path) -> DataPlatform:
    store = LocalFeatureStore(home)
    return DataPlatform(store, LocalTrainer(home), LocalRegistry(home), LocalScorer(), store.append)


def aws_platform(home: Path) -> DataPlatform:
    aws, store = account_at(home), aws_features(home)
    objects = Objects(aws)
    return DataPlatform(
        store.features, AwsTrainer(aws, objects), AwsRegistry(aws, objects), AwsScorer(aws, objects), store.append
    )


PLATFORMS: dict[str, Callable[[Path], DataPlatform]] = {"local": local_platform, "aws": aws_platform}


def at(days: float) -> datetime:
    return START + timedelta(days=days)


def hourly(days: int, *, seed: int = 1, delay: timedelta = DAY, first: int = 0) -> pa.Table:
    """One row an hour from the `first` day on; busy by day when it is warm, with noise, so that there is something to learn."""
    n, random = 24 * days, np.random.default_rng((seed, first))
    hour = np.arange(n) % 24
    temp = random.normal(15, 8, n)
    busy = (random.random(n) < 1 / (1 + np.exp(-(0.15 * (temp - 15) + 0.5 * (np.abs(hour - 13) < 6))))).astype(float)
    events = np.datetime64(at(first).replace(tzinfo=None), "us") + np.arange(n) * np.timedelta64(1, "h")
    return pa.table(
        {
            "id": [f"row-{first * 24 + i}" for i in range(n)],
            "event_time": pa.array(events, pa.timestamp("us", "UTC")),
            "label_time": pa.array(events + np.timedelta64(delay), pa.timestamp("us", "UTC")),
            "busy": busy,
            "hour": hour.astype(float),
            "temp": temp,
        }
    )


def changed(rows: pa.Table, **columns: Sequence[Any]) -> pa.Table:
    """The rows with other values in the named columns."""
    for name, values in columns.items():
        array = pa.array(values, rows.schema.field(name).type)
        rows = rows.set_column(rows.column_names.index(name), name, array)
    return rows


def unlabelled(rows: pa.Table) -> pa.Table:
    nothing = [None] * rows.num_rows
    return changed(rows, busy=nothing, label_time=nothing)


def take(key: str = "snapshot/1", *, as_of: datetime | None = None, data: DataPolicy = DATA, **other: Any) -> TakeSnapshot:
    request = {
        "key": key,
        "endpoint": "bikes",
        "data": data,
        "as_of": as_of or at(60),
        "horizons": (30 * DAY,),
        "holdout": 14 * DAY,
        "tags": TAGS,
    }
    return TakeSnapshot(**(request | other))


def lenient(**other: Any) -> CoveragePolicy:
    return CoveragePolicy(**({"min_rows": 1, "min_days": 1, "min_label_rate": 0, "min_positives": 1} | other))


def job(snapshot: Snapshot, key: str = "train/1", **other: Any) -> TrainChallenger:
    request = {
        "key": key,
        "endpoint": "bikes",
        "purpose": Purpose.REFIT,
        "dataset": snapshot.dataset,
        "features": DATA.features,
        "label": DATA.label,
        "recipe": Recipe(horizons=(30 * DAY,), learner=LEARNER),
        "end": snapshot.as_of,
        "tags": TAGS,
        "max_runtime": timedelta(minutes=2),
        "max_memory_mb": 2048,
        "price_per_hour": 3.6,
    }
    return TrainChallenger(**(request | other))


def long_job(snapshot: Snapshot, key: str = "train/long", **other: Any) -> TrainChallenger:
    """One that takes minutes."""
    learner = LearnerSettings(rounds=5000, num_leaves=1024, min_rows_per_leaf=1, learning_rate=0.001)
    return job(snapshot, key, **({"recipe": Recipe(horizons=("all",), learner=learner)} | other))


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for what must come; the bound is only there for the day it doesn't."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def finished(trainer: Trainer, wanted: TrainChallenger) -> JobState:
    """Start the job and follow it to its end."""
    state = trainer.start(wanted)
    time.sleep(0.3)

    def ended() -> bool:
        nonlocal state
        state = trainer.describe(wanted.key)
        return state.phase is not JobPhase.RUNNING

    until(ended)
    return state


def trained(trainer: Trainer, wanted: TrainChallenger) -> Challenger:
    state = finished(trainer, wanted)
    assert state.phase is JobPhase.COMPLETED, state
    assert state.challenger is not None
    return state.challenger


def card(challenger: Challenger, endpoint: str = "bikes") -> ModelCard:
    return ModelCard(
        model=ModelRef(endpoint=endpoint, digest=challenger.model.digest),
        artifact_uri=challenger.artifact_uri,
        recipe=Recipe(),
        features=DATA.features,
        trained_through=challenger.trained_through,
        rows=challenger.rows,
        base_rate=challenger.base_rate,
        dataset_sha256=challenger.dataset_sha256,
        incident=TAGS.incident,
    )
