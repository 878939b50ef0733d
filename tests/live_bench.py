"""The live bench on real adapters and small tables, one turn after the other, with the rest of the loop done by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from activities.bench import BenchActivities
from activities.bench_advice import advise
from backtest.periods import Table
from contracts.bench import shadow_recipe
from contracts.fleet import EndpointPolicy
from contracts.rollout import Manifest
from contracts.shadow import AdviseBench, BenchAdvice, BenchFit, KeepTurn, ScorePeriod
from contracts.snapshot import Snapshot, TakeSnapshot
from contracts.training import Challenger, LearnerSettings, ModelCard, ModelRef, ModelStatus, Purpose, Recipe, TrainChallenger
from learning.artifact import Artifact
from learning.rows import microseconds
from platforms.local.bench_store import LocalBenchStore
from platforms.local.evidence import LocalEvidence
from platforms.local.feature_store import LocalFeatureStore
from platforms.local.manifests import LocalManifests
from platforms.local.registry import LocalRegistry
from platforms.local.scorer import LocalScorer
from platforms.tabular.artifact_file import write_model
from platforms.tabular.fit import train
from policies.bench_turns import horizons
from tests.fakes import World, fake_platform
from tests.platforms.data_fixtures import TAGS

BEGIN = datetime.fromisoformat("2023-01-02T00:00:00+00:00")  # a Monday
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FIRST, WEEKS = 28 * DAY, 8
RECIPE = shadow_recipe().model_copy(
    update={"learner": LearnerSettings(rounds=8, boost_rounds=3, min_rows_per_leaf=10, learning_rate=0.3)}
)
FEATURES = ("x", "y", "z")


def table(delay: timedelta, seed: int = 3) -> Table:
    """Four weeks and eight more by the hour; in the fifth of these the signal turns, and its level moves all the time."""
    hours = int((FIRST + WEEKS * 7 * DAY) / HOUR)
    rng = np.random.default_rng(seed)
    event_time = microseconds(BEGIN) + np.arange(hours, dtype=np.int64) * 3_600_000_000
    features = rng.normal(size=(hours, 3))
    turned = np.where(np.arange(hours) > hours * 0.6, -1.0, 1.0)
    level = np.sin(np.arange(hours) / 24 / 9)
    label = (2 * turned * features[:, 0] + level + rng.normal(size=hours) > 0).astype(float)
    late = rng.exponential(delay / timedelta(microseconds=1), hours).astype(np.int64)
    return Table(event_time, event_time + late, features, label, FIRST, 7 * DAY)


def policy() -> EndpointPolicy:
    return EndpointPolicy.model_validate(
        {
            "team": "mobility",
            "cost_center": "cc-7",
            "data": {"table": "rides", "features": FEATURES, "label": "busy", "label_delay": "1d"},
            "training": {"judging": "shadow", "recipe": RECIPE.model_dump(), "bench": {"warm_up": 2}},
            "gate": {"resamples": 200},
        }
    )


@dataclass
class Live:
    """The live bench on real adapters, with the rest of the loop done by hand: what is advised is carried out at once."""

    home: Path
    source: Table
    policy: EndpointPolicy = field(default_factory=policy)

    def __post_init__(self) -> None:
        self.features = LocalFeatureStore(self.home)
        self.manifests, self.registry = LocalManifests(self.home), LocalRegistry(self.home)
        self.platform = fake_platform(
            World(),
            features=self.features,
            manifests=self.manifests,
            registry=self.registry,
            scorer=LocalScorer(),
            evidence=LocalEvidence(self.home, "http://127.0.0.1"),
            bench=LocalBenchStore(self.home),
        )
        self.bench = BenchActivities(self.platform)
        self.features.append("rides", rows_of(self.source))

    def turns(self, until: datetime) -> Iterator[tuple[datetime, BenchAdvice | None]]:
        """Every turn up to a moment, each decided on before the next."""
        moments = self._moments(until)
        for n, moment in enumerate(moments):
            yield moment, self.turn(moment, advised_from=BEGIN + FIRST, final=n == len(moments) - 1)

    def _moments(self, until: datetime) -> list[datetime]:
        weeks = range(-self.policy.training.bench.warm_up, (until - BEGIN - FIRST) // (7 * DAY) + 1)
        return [BEGIN + FIRST + n * 7 * DAY for n in weeks]

    def turn(self, moment: datetime, *, advised_from: datetime, final: bool = True) -> BenchAdvice | None:
        snapshot = self.snapshot(moment)
        scored = self.bench.score_period(
            ScorePeriod(key=f"{moment}/scored", endpoint="rides", policy=self.policy, snapshot=snapshot)
        )
        advice = self.advice(snapshot) if moment >= advised_from and scored.news else None
        fit = self.fitted(snapshot, RECIPE)
        self.bench.keep_turn(
            KeepTurn(
                key=f"{moment}/kept",
                endpoint="rides",
                policy=self.policy,
                as_of=moment,
                dataset=snapshot.dataset.sha256,
                fit=BenchFit(as_of=moment, challenger=fit) if scored.news else None,
                advice=advice,
                rows=scored.rows,
                advised_from=advised_from,
                final=final,
            )
        )
        return advice

    def advice(self, snapshot: Snapshot, incident: str = "") -> BenchAdvice:
        return advise(self.platform, AdviseBench(endpoint="rides", policy=self.policy, snapshot=snapshot, incident=incident))

    def snapshot(self, moment: datetime, mark: str = "") -> Snapshot:
        return self.features.snapshot(
            TakeSnapshot(
                key=f"snapshot/{moment}/{mark}",
                endpoint="rides",
                data=self.policy.data,
                as_of=moment,
                horizons=horizons(self.policy),
                holdout=timedelta(0),
                tags=TAGS,
            )
        )

    def fitted(self, snapshot: Snapshot, recipe: Recipe, shift: tuple[float, ...] = (0.0,)) -> Challenger:
        """As the training process does it, in this one."""
        job = TrainChallenger(
            key="job",
            endpoint="rides",
            purpose=Purpose.REFIT,
            dataset=snapshot.dataset,
            features=FEATURES,
            label="busy",
            recipe=recipe,
            end=snapshot.as_of,
            tags=TAGS,
            max_runtime=HOUR,
            max_memory_mb=4096,
        )
        made = train(job, lambda _: None)
        folder = self.home / "made" / sha256(f"{snapshot.as_of}{recipe}{shift}".encode()).hexdigest()[:8]
        path, digest = write_model(folder, Artifact(features=FEATURES, shift=shift, members=made.members))
        return Challenger(
            model=ModelRef(endpoint="rides", digest=digest),
            artifact_uri=str(path),
            purpose=Purpose.REFIT,
            trained_through=snapshot.as_of,
            rows=made.rows,
            positives=made.positives,
            base_rate=made.positives / made.rows,
            dataset_sha256=snapshot.dataset.sha256,
        )

    def promote(self, moment: datetime, advice: BenchAdvice) -> None:
        members = tuple(member for member in RECIPE.members if member.name in advice.members)
        recipe = Recipe(members=members, learner=RECIPE.learner)
        made = self.fitted(self.snapshot(moment), recipe, advice.refit.shift)
        card = ModelCard(
            model=made.model,
            artifact_uri=made.artifact_uri,
            recipe=recipe,
            features=FEATURES,
            trained_through=moment,
            rows=made.rows,
            base_rate=made.base_rate,
            dataset_sha256=made.dataset_sha256,
            incident="by hand",
        )
        self._serve(self.registry.register(card).model, moment, promoted_as_of=moment)

    def recalibrate(self, moment: datetime, advice: BenchAdvice) -> None:
        present = self.manifests.read("rides")
        assert present is not None
        assert advice.recalibration is not None
        card = self.registry.recalibrated(present.champion, advice.recalibration.shift, f"recalibrated/{moment}")
        self._serve(card.model, moment, promoted_as_of=present.promoted_as_of)

    def _serve(self, model: ModelRef, moment: datetime, promoted_as_of: datetime) -> None:
        present = self.manifests.read("rides")
        self.registry.mark(model, ModelStatus.CHAMPION)
        self.manifests.write(
            Manifest(
                endpoint="rides",
                revision=present.revision + 1 if present else 1,
                champion=model,
                promoted_as_of=promoted_as_of,
                served_from=moment,
                key=f"served/{moment}",
            )
        )


def rows_of(source: Table) -> pa.Table:
    columns: dict[str, Any] = {
        "id": [f"{n:06d}" for n in range(len(source.event_time))],
        "event_time": pa.array(source.event_time, pa.timestamp("us", "UTC")),
        "label_time": pa.array(source.known_at, pa.timestamp("us", "UTC")),
        "busy": source.label,
    }
    return pa.table(columns | {name: source.features[:, n] for n, name in enumerate(FEATURES)})
