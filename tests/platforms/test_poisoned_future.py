"""Everything that comes to be known after a decision is replaced by poison, and nothing of the decision changes by a bit.

Poison: labels that no task has (a snapshot that read one would raise), later versions of old rows with exploding features, rows
of the future with infinite ones, and requests answered later.
"""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.testing import ActivityEnvironment

from activities.evaluation import EvaluationActivities
from activities.gate import judged
from activities.predictions import decode
from contracts.evaluation import EvaluateChallenger, GatePolicy, JudgeEvidence
from contracts.snapshot import Snapshot, TakeSnapshot, Window
from contracts.training import Challenger, Purpose
from platforms.local.capture import CapturedRow
from platforms.local.registry import LocalRegistry
from platforms.local.scorer import LocalScorer
from platforms.local.traffic import LocalTrafficLog
from platforms.local.trainer import LocalTrainer
from platforms.ports import FeatureStore
from tests.fakes import World, fake_platform
from tests.platforms.data_fixtures import DATA, DAY, HOUR, LEARNER, at, changed, hourly, job, lenient, take, trained, unlabelled
from tests.platforms.feature_fixtures import FEATURES
from tests.platforms.serving.captured import write

AS_OF = at(60)
HORIZONS: tuple[Any, ...] = (20 * DAY, "all")
POLICY = DATA.model_copy(update={"segment": "hour", "coverage": lenient()})


def _late(n: int, seed: int) -> list[datetime]:
    """Label times: most within a day, some after weeks."""
    random = np.random.default_rng(seed)
    delays = random.exponential(np.where(random.random(n) < 0.2, 14 * 24.0, 6.0))
    return [at(0) + (i + float(delay)) * HOUR for i, delay in enumerate(delays)]


def honest(seed: int = 1, days: int = 75) -> pa.Table:
    rows = hourly(days, seed=seed)
    return changed(rows, label_time=_late(rows.num_rows, seed))


def _later(rows: pa.Table, column: str) -> np.ndarray:
    return np.array([moment > AS_OF for moment in rows[column].to_pylist()])


def poisoned(rows: pa.Table, with_: float) -> pa.Table:
    """The same past; what is known later is absurd."""
    late, future = _later(rows, "label_time"), np.array([moment >= AS_OF for moment in rows["event_time"].to_pylist()])
    moments = [moment + 400 * DAY if gone else moment for moment, gone in zip(rows["label_time"].to_pylist(), late, strict=True)]
    return changed(
        rows,
        busy=np.where(late | future, 7.0, rows["busy"].to_numpy()).tolist(),
        temp=np.where(future, with_, rows["temp"].to_numpy()).tolist(),
        label_time=moments,
    )


def corrections(rows: pa.Table, with_: float) -> pa.Table:
    """Later versions of every row of the past, known only after the decision."""
    n = rows.num_rows
    return changed(rows, busy=[7.0] * n, temp=[with_] * n, hour=[-1.0] * n, label_time=[AS_OF + HOUR] * n)


def pair(
    home: Path, rows: pa.Table, with_: float, *, known_early: bool, platform: str = "local"
) -> tuple[FeatureStore, FeatureStore]:
    """One store with the truth, one with a poisoned future; rows may be known before their labels, or come with them."""
    stores = FEATURES[platform](home / "honest"), FEATURES[platform](home / "poisoned")
    for store, table in zip(stores, (rows, poisoned(rows, with_)), strict=True):
        if known_early:
            store.append("bikes", unlabelled(rows))
        store.append("bikes", table)
    stores[1].append("bikes", corrections(rows, with_))
    return stores[0].features, stores[1].features


def look(store: FeatureStore, request: TakeSnapshot) -> tuple[Snapshot, bytes]:
    snapshot = store.snapshot(request)
    rows = store.rows(snapshot.dataset, request.data, snapshot.window)
    return snapshot, rows.ids.tobytes() + rows.event_time.tobytes() + rows.features.tobytes() + rows.label.tobytes()


def same(snapshot: Snapshot) -> str:
    """All of it but where it lies and what it took: counts, findings, curve, fingerprint, query."""
    query = re.sub(r'"t_[0-9a-f]+_bikes_\d+"', "bikes", snapshot.query)
    return query + snapshot.model_dump_json(exclude={"dataset": {"uri"}, "query": True, "retrieval": True})


POISONS = [
    pytest.param(platform, early, with_, id=f"{platform}, rows {'came first' if early else 'came with their labels'}, {with_}")
    for platform in ("local", "aws")
    for early in (True, False)
    for with_ in ((1e300, float("inf"), float("nan")) if platform == "local" else (1e300,))
]


@pytest.mark.parametrize(("platform", "known_early", "with_"), POISONS)
def test_a_snapshot_with_its_coverage_and_curve_is_the_same_to_the_last_byte(
    request: pytest.FixtureRequest, home: Path, platform: str, known_early: bool, with_: float
) -> None:
    if platform == "aws":
        request.getfixturevalue("simulated")
    truth, poison = pair(home, honest(), with_, known_early=known_early, platform=platform)
    wanted = take(as_of=AS_OF, data=POLICY, horizons=HORIZONS, categorical=("hour",))
    (first, rows), (second, other) = look(truth, wanted), look(poison, wanted)
    assert same(first) == same(second)
    assert rows == other
    assert truth.coverage(wanted) == poison.coverage(wanted) == first.coverage
    assert first.coverage.label_delay is not None
    assert first.coverage.label_delay.waiting > 50


def test_the_poison_is_seen_as_soon_as_it_is_known(home: Path) -> None:
    truth, _ = pair(home, honest(), 1e6, known_early=True)
    clean = changed(honest(), temp=[1e6] * honest().num_rows, label_time=[AS_OF + HOUR] * honest().num_rows)
    for name in ("honest", "poisoned"):
        FEATURES["local"](home / name).append("bikes", clean)
    request = take(as_of=AS_OF + HOUR, data=POLICY, horizons=HORIZONS)
    assert truth.snapshot(request).fingerprint != truth.snapshot(take("snapshot/before", as_of=AS_OF, data=POLICY)).fingerprint


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000), with_=st.floats(), early=st.booleans(), hold=st.integers(0, 5))
def test_whatever_the_poison_and_the_delays_the_look_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, seed: int, with_: float, early: bool, hold: int
) -> None:
    truth, poison = pair(tmp_path_factory.mktemp("pair"), honest(seed, 65), with_, known_early=early)
    request = take(as_of=AS_OF, until=AS_OF - hold * DAY, data=POLICY, horizons=HORIZONS)
    assert same(truth.snapshot(request)) == same(poison.snapshot(request))


def _capture(home: Path, rows: pa.Table, *, again: bool) -> None:
    """Live requests of the holdout; `again`: each asked once more after the decision, with absurd features."""
    chosen = rows.slice(47 * 24, 12 * 24)
    answers = [
        CapturedRow(
            id=row["id"],
            event_time=row["event_time"],
            served_at=row["event_time"] + timedelta(seconds=1) if not late else AS_OF + DAY,
            digest="ab" * 32,
            score=0.5 if not late else 0.99,
            answer=1,
            features={"hour": row["hour"], "temp": 1e9 if late else row["temp"]},
        )
        for late in ((False, True) if again else (False,))
        for row in chosen.to_pylist()
    ]
    write(home / "capture" / "bikes", *answers)


def test_replayed_traffic_knows_no_label_and_no_answer_of_the_future(home: Path) -> None:
    rows = honest()
    pair(home, rows, 1e300, known_early=True)
    _capture(home / "honest", rows, again=False)
    _capture(home / "poisoned", rows, again=True)
    window = Window(start=AS_OF - 14 * DAY, end=AS_OF)
    truth, poison = (
        LocalTrafficLog(home / name).replay("bikes", POLICY, window, known_at=AS_OF) for name in ("honest", "poisoned")
    )
    assert len(truth) == 12 * 24
    assert 0 < int(np.isnan(truth.label).sum()) < len(truth)
    for name in ("ids", "event_time", "features", "label", "score", "digest"):
        assert getattr(truth, name).tobytes() == getattr(poison, name).tobytes()


def _fits(home: Path, snapshot: Snapshot) -> tuple[Challenger, Challenger]:
    trainer = LocalTrainer(home)
    recipe = job(snapshot).recipe.model_copy(update={"learner": LEARNER})
    ends = {Purpose.JUDGE: snapshot.cut, Purpose.REFIT: snapshot.as_of}
    judge, refit = (
        trained(trainer, job(snapshot, f"train/{purpose.value}", purpose=purpose, end=end, recipe=recipe))
        for purpose, end in ends.items()
    )
    return judge, refit


def _decision(home: Path, store: FeatureStore) -> tuple[str, ...]:
    """Everything that a verdict rests on, by digest and by word."""
    snapshot = store.snapshot(take(as_of=AS_OF, data=POLICY, horizons=HORIZONS))
    judge, refit = _fits(home, snapshot)
    world = World(endpoint="bikes")
    ports = {"traffic": LocalTrafficLog(home), "scorer": LocalScorer(), "registry": LocalRegistry(home), "features": store}
    request = EvaluateChallenger(
        key="evaluate/1",
        endpoint="bikes",
        incident="i",
        snapshot=snapshot,
        champion=None,
        challenger=judge,
        refit=refit,
        threshold=0.5,
        data=POLICY,
    )
    activities = EvaluationActivities(fake_platform(world, **ports))
    evidence = ActivityEnvironment().run(activities.evaluate_challenger, request)
    asked = JudgeEvidence(
        key="gate/1",
        endpoint="bikes",
        incident="i",
        evidence=evidence,
        gate=GatePolicy(resamples=200),
        threshold=0.5,
        champion_trained_through=None,
        challenger_trained_through=judge.trained_through,
        weeks_since_promotion=None,
        snapshot=snapshot,
    )
    verdict = judged(asked, decode(world.files[evidence.uri]))
    return judge.model.digest, refit.model.digest, evidence.digest, verdict.model_dump_json()


def test_both_fits_the_evidence_and_the_verdict_are_the_same_to_the_last_bit(home: Path) -> None:
    rows = honest()
    truth, poison = pair(home, rows, 1e300, known_early=True)
    _capture(home / "honest", rows, again=False)
    _capture(home / "poisoned", rows, again=True)
    assert _decision(home / "honest", truth) == _decision(home / "poisoned", poison)
