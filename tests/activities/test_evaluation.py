"""Both models on the same rows: none that either was trained on, and a digest that covers every prediction."""

import io
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.evaluation import EvaluationActivities, compared_window
from activities.predictions import decode
from contracts.evaluation import EvaluateChallenger, Evidence
from contracts.snapshot import DataPolicy, TakeSnapshot
from contracts.training import Challenger, ModelRef, Purpose, Tags, Task
from platforms.errors import Corrupt
from platforms.ports import Platform, Rows
from tests.fakes import AS_OF, FakeFeatures, FakeScorer, FakeTraffic, World, digest, fake_platform

HOLDOUT = timedelta(days=14)
DELAY = timedelta(days=1)
DATA = DataPolicy(table="bikes", features=("truth", "noise"), label="busy", label_delay=DELAY)


def _fitted(world: World, name: str, purpose: Purpose, quality: float) -> Challenger:
    model = ModelRef(endpoint=world.endpoint, digest=digest(name))
    world.quality[model.digest] = quality
    return Challenger(
        model=model,
        artifact_uri=f"mem:{name}",
        purpose=purpose,
        trained_through=AS_OF - HOLDOUT - DELAY,
        rows=1000,
        positives=400,
        base_rate=0.4,
        dataset_sha256=digest("dataset"),
    )


def a_request(world: World, trained_through: datetime | None = None, **changes: Any) -> EvaluateChallenger:
    """The champion was trained through a moment, or there is none."""
    if trained_through is not None:
        world.champion(trained_through=trained_through)
    snapshot = FakeFeatures(world).snapshot(
        TakeSnapshot(
            key="snapshot/1",
            endpoint=world.endpoint,
            data=DATA,
            as_of=AS_OF,
            horizons=(timedelta(days=30),),
            holdout=HOLDOUT,
            tags=Tags(endpoint=world.endpoint, incident="i", team="mobility", cost_center="cc-7"),
        )
    )
    request = EvaluateChallenger(
        key="evaluate/1",
        endpoint=world.endpoint,
        incident="i",
        snapshot=snapshot,
        champion=next(iter(world.cards.values()), None),
        challenger=_fitted(world, "judged", Purpose.JUDGE, 0.9),
        refit=_fitted(world, "refit", Purpose.REFIT, 0.8),
        threshold=0.5,
        data=DATA,
    )
    return request.model_copy(update=changes)


def evaluate(platform: Platform, request: EvaluateChallenger) -> Evidence:
    evidence: Evidence = ActivityEnvironment().run(EvaluationActivities(platform).evaluate_challenger, request)
    return evidence


LONG_AGO = AS_OF - timedelta(days=100)


@pytest.mark.parametrize(
    ("trained_through", "days"),
    [
        (None, 14),
        (LONG_AGO, 14),
        (AS_OF - timedelta(days=5), 4),
        (AS_OF - DELAY, 0),
        (AS_OF + timedelta(days=30), 0),
    ],
)
def test_what_the_champion_has_seen_is_not_compared(trained_through: datetime | None, days: int) -> None:
    """A row counts as seen until the champion's last training label could not have arrived any more."""
    world = World()
    request = a_request(world, trained_through)
    window = compared_window(request)
    assert window.end == AS_OF
    assert window.end - window.start == timedelta(days=days)
    evidence = evaluate(fake_platform(world), request)
    assert evidence.holdout_rows == evidence.replay_rows == 24 * days
    assert evidence.compared == window


def test_the_same_request_gives_the_same_evidence_and_writes_nothing_new() -> None:
    world = World()
    request = a_request(world, LONG_AGO)
    first = evaluate(fake_platform(world), request)
    files = dict(world.files)
    assert evaluate(fake_platform(world), request) == first
    assert world.files == files
    assert len(files) == 2


@dataclass
class OneScoreOff(FakeScorer):
    """One prediction of one model differs by little."""

    digest: str = ""
    row: int = 0

    def score(self, artifact_uri: str, model: ModelRef, features: Any, rows: Rows) -> Any:
        scores = FakeScorer.score(self, artifact_uri, model, features, rows)
        if model.digest == self.digest:
            scores[self.row] += 1e-9
        return scores


@pytest.mark.parametrize("model", ["champion", "judged", "refit"])
@pytest.mark.parametrize("row", [0, -1])
def test_the_digest_covers_every_prediction_of_every_model(model: str, row: int) -> None:
    world = World()
    request = a_request(world, LONG_AGO)
    before = evaluate(fake_platform(world), request)
    platform = replace(fake_platform(world), scorer=OneScoreOff(world, digest(model), row))
    assert evaluate(platform, request).digest != before.digest


@dataclass
class Relabelled(FakeTraffic):
    """One label of the replayed traffic is another."""

    def replay(self, *args: Any, **kwargs: Any) -> Any:
        served = FakeTraffic.replay(self, *args, **kwargs)
        return replace(served, label=np.concatenate([1 - served.label[:1], served.label[1:]]))


def test_the_digest_covers_labels_threshold_and_what_the_rows_came_from() -> None:
    world = World()
    request = a_request(world, LONG_AGO)
    platform = fake_platform(world)
    dataset = request.snapshot.dataset.model_copy(update={"sha256": digest("other rows")})
    digests = {
        evaluate(platform, request).digest,
        evaluate(replace(platform, traffic=Relabelled(world)), request).digest,
        evaluate(platform, request.model_copy(update={"threshold": 0.4})).digest,
        evaluate(platform, request.model_copy(update={"incident": "j"})).digest,
        evaluate(
            platform, request.model_copy(update={"snapshot": request.snapshot.model_copy(update={"dataset": dataset})})
        ).digest,
    }
    assert len(digests) == 5


def test_the_digest_can_be_recomputed_from_the_kept_files() -> None:
    world = World()
    evidence = evaluate(fake_platform(world), a_request(world, LONG_AGO))
    manifest = next(content for uri, content in world.files.items() if uri.endswith(".json"))
    assert sha256(manifest).hexdigest() == evidence.digest
    predictions = world.files[evidence.uri]
    assert json.loads(manifest)["predictions_sha256"] == sha256(predictions).hexdigest()
    assert pq.read_table(io.BytesIO(predictions)).num_rows == evidence.holdout_rows + evidence.replay_rows


def test_without_a_champion_the_base_rate_stands_in_for_it() -> None:
    world = World()
    evidence = evaluate(fake_platform(world), a_request(world))
    assert evidence.champion is None
    assert set(decode(world.files[evidence.uri]).holdout.champion) == {0.4}


def test_the_refit_is_scored_on_live_requests_only_since_it_has_seen_the_holdout() -> None:
    world = World()
    evidence = evaluate(fake_platform(world), a_request(world, LONG_AGO))
    rows = pq.read_table(io.BytesIO(world.files[evidence.uri]), columns=["part", "refit"]).to_pylist()
    assert {(row["part"], row["refit"] is None) for row in rows} == {("holdout", True), ("replay", False)}


def test_a_challenger_of_a_wrong_digest_is_final() -> None:
    world = World(failures={"score": [Corrupt("model.json has another digest than its card")]})
    with pytest.raises(ApplicationError, match="another digest") as seen:
        evaluate(fake_platform(world), a_request(world, LONG_AGO))
    assert (seen.value.type, seen.value.non_retryable) == ("Corrupt", True)
    assert world.files == {}


# ---- other tasks


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": Task.REGRESSION}, "trained for binary, the fleet file says regression"),
        ({"task": Task.MULTICLASS, "classes": ("calm", "full")}, r"binary, the fleet file says multiclass \['calm', 'full'\]"),
    ],
)
def test_a_champion_of_another_task_is_not_compared_and_the_remedy_is_named(changes: dict[str, Any], said: str) -> None:
    world = World()
    request = a_request(world, LONG_AGO, data=DATA.model_copy(update=changes))
    with pytest.raises(ApplicationError, match=said) as seen:
        evaluate(fake_platform(world), request)
    assert (seen.value.type, seen.value.non_retryable) == ("Invalid", True)
    assert "an endpoint of its own" in str(seen.value)


@dataclass
class OfClasses(FakeScorer):
    """Three classes, of which the last is the rarest."""

    def score(self, artifact_uri: str, model: ModelRef, features: Any, rows: Rows) -> Any:
        first = FakeScorer.score(self, artifact_uri, model, features, rows)
        return np.stack([0.9 * (1 - first), 0.9 * first, np.full(len(first), 0.1)], axis=1)


def test_without_a_champion_the_shares_of_the_classes_stand_in_for_it_and_slices_travel_with_the_scores() -> None:
    world = World()
    data = DATA.model_copy(update={"task": Task.MULTICLASS, "classes": ("calm", "busy", "full"), "slices": ("noise",)})
    request = a_request(world, data=data)
    challenger = request.challenger.model_copy(update={"baseline": (0.5, 0.4, 0.1)})
    platform = replace(fake_platform(world), scorer=OfClasses(world))
    evidence = evaluate(platform, request.model_copy(update={"challenger": challenger}))
    found = decode(world.files[evidence.uri], Task.MULTICLASS)
    assert {tuple(row) for row in found.holdout.champion} == {(0.5, 0.4, 0.1)}
    rows = platform.features.rows(request.snapshot.dataset, data, request.snapshot.holdout)
    assert found.slices["noise"].tolist() == rows.features[:, 1].tolist()
    manifest = json.loads(next(content for uri, content in world.files.items() if uri.endswith(".json")))
    assert (manifest["task"], manifest["classes"]) == ("multiclass", ["calm", "busy", "full"])


def test_the_manifest_of_a_binary_decision_is_what_it_always_was() -> None:
    """Or no older record could be reproduced."""
    world = World()
    evaluate(fake_platform(world), a_request(world, LONG_AGO))
    manifest = json.loads(next(content for uri, content in world.files.items() if uri.endswith(".json")))
    wanted = {"endpoint", "incident", "predictions_sha256", "dataset_sha256", "champion", "challenger", "refit", "threshold"}
    assert set(manifest) == wanted
