"""What every registry and scorer does: a model is known by its digest, stands where it was put, and scores by name."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from contracts.training import Challenger, ModelRef, ModelStatus, Recipe
from platforms.errors import Corrupt, Invalid, NotFound
from platforms.ports import Rows
from tests.platforms.data_fixtures import DATA, LEARNER, PLATFORMS, DataPlatform, card, hourly, job, take, trained

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module", params=PLATFORMS)
def world(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DataPlatform, Challenger, Challenger]]:
    """A platform and two models, trained once for this file; each test has an endpoint of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in request.getfixturevalue("simulator").environment.items() if request.param == "aws" else ():
            patch.setenv(name, value)
        yield _with_models(PLATFORMS[request.param](tmp_path_factory.mktemp("registry")))


def _with_models(platform: DataPlatform) -> tuple[DataPlatform, Challenger, Challenger]:
    platform.append("bikes", hourly(60))
    snapshot = platform.features.snapshot(take())
    rival = Recipe(learner=LEARNER.model_copy(update={"rounds": 5}))
    first, second = (trained(platform.trainer, job(snapshot)), trained(platform.trainer, job(snapshot, "train/2", recipe=rival)))
    return platform, first, second


@pytest.fixture
def registry_platform(world: tuple[DataPlatform, Challenger, Challenger]) -> DataPlatform:
    return world[0]


@pytest.fixture
def first(world: tuple[DataPlatform, Challenger, Challenger]) -> Challenger:
    return world[1]


@pytest.fixture
def second(world: tuple[DataPlatform, Challenger, Challenger]) -> Challenger:
    return world[2]


def _rows(features: list[list[float]]) -> Rows:
    n = len(features)
    matrix = np.array(features, dtype=np.float64).reshape(n, -1)
    return Rows(np.array(["a"] * n), np.array(["2012-03-01"] * n, "datetime64[us]"), matrix, np.zeros(n))


# ---- registry


def test_a_registered_model_is_kept_apart_from_its_job(registry_platform: DataPlatform, first: Challenger) -> None:
    kept = registry_platform.registry.register(card(first, "kept"))
    assert kept.artifact_uri != first.artifact_uri
    assert kept.status is ModelStatus.PENDING
    assert registry_platform.registry.get(kept.model) == kept
    score = registry_platform.scorer.score(kept.artifact_uri, kept.model, DATA.features, _rows([[12, 30]]))
    assert 0 < score[0] < 1


def test_registering_twice_is_once_and_keeps_the_status(registry_platform: DataPlatform, first: Challenger) -> None:
    registry = registry_platform.registry
    registry.register(card(first, "twice"))
    champion = registry.mark(ModelRef(endpoint="twice", digest=first.model.digest), ModelStatus.CHAMPION)
    assert registry.register(card(first, "twice")) == champion


def test_registering_at_once_is_once(registry_platform: DataPlatform, first: Challenger) -> None:
    with ThreadPoolExecutor(4) as pool:
        cards = list(pool.map(registry_platform.registry.register, [card(first, "at-once")] * 4))
    assert all(found == cards[0] for found in cards)


def test_an_artifact_of_another_digest_is_refused(registry_platform: DataPlatform, first: Challenger, second: Challenger) -> None:
    mixed = card(first, "mixed").model_copy(update={"artifact_uri": second.artifact_uri})
    with pytest.raises(Corrupt, match="has digest"):
        registry_platform.registry.register(mixed)
    with pytest.raises(NotFound):
        registry_platform.registry.get(mixed.model)


def test_a_new_champion_retires_the_former(registry_platform: DataPlatform, first: Challenger, second: Challenger) -> None:
    registry = registry_platform.registry
    one, two = (registry.register(card(challenger, "crown")).model for challenger in (first, second))
    for _ in range(2):
        assert registry.mark(one, ModelStatus.CHAMPION).status is ModelStatus.CHAMPION
    assert registry.get(two).status is ModelStatus.PENDING
    registry.mark(two, ModelStatus.CHAMPION)
    assert (registry.get(one).status, registry.get(two).status) == (ModelStatus.RETIRED, ModelStatus.CHAMPION)
    registry.mark(two, ModelStatus.ROLLED_BACK)
    registry.mark(one, ModelStatus.CHAMPION)
    assert (registry.get(one).status, registry.get(two).status) == (ModelStatus.CHAMPION, ModelStatus.ROLLED_BACK)


def test_endpoints_have_their_own_champions(registry_platform: DataPlatform, first: Challenger) -> None:
    registry = registry_platform.registry
    one, two = (registry.register(card(first, name)).model for name in ("east", "west"))
    registry.mark(one, ModelStatus.CHAMPION)
    registry.mark(two, ModelStatus.CHAMPION)
    assert registry.get(one).status is registry.get(two).status is ModelStatus.CHAMPION


def test_an_unknown_model_is_not_found(registry_platform: DataPlatform) -> None:
    unknown = ModelRef(endpoint="bikes", digest="0" * 64)
    with pytest.raises(NotFound, match="endpoint bikes has no model 000000000000"):
        registry_platform.registry.get(unknown)
    with pytest.raises(NotFound):
        registry_platform.registry.mark(unknown, ModelStatus.CHAMPION)


# ---- scorer


def test_columns_are_taken_by_name(registry_platform: DataPlatform, first: Challenger) -> None:
    score = registry_platform.scorer.score
    plain = score(first.artifact_uri, first.model, ["hour", "temp"], _rows([[12, 30], [3, -5]]))
    mixed = score(first.artifact_uri, first.model, ["wind", "temp", "hour"], _rows([[7, 30, 12], [7, -5, 3]]))
    np.testing.assert_array_equal(plain, mixed)
    assert plain[0] > plain[1]


def test_missing_values_are_scored(registry_platform: DataPlatform, first: Challenger) -> None:
    score = registry_platform.scorer.score(first.artifact_uri, first.model, DATA.features, _rows([[float("nan"), float("nan")]]))
    assert 0 < score[0] < 1


def test_no_rows_have_no_scores(registry_platform: DataPlatform, first: Challenger) -> None:
    empty = Rows(np.empty(0, str), np.empty(0, "datetime64[us]"), np.empty((0, 2)), np.empty(0))
    assert registry_platform.scorer.score(first.artifact_uri, first.model, DATA.features, empty).shape == (0,)


def test_a_missing_feature_is_named(registry_platform: DataPlatform, first: Challenger) -> None:
    with pytest.raises(Invalid, match="wants the features temp; got hour"):
        registry_platform.scorer.score(first.artifact_uri, first.model, ["hour"], _rows([[1.0]]))


def test_names_and_columns_must_agree(registry_platform: DataPlatform, first: Challenger) -> None:
    with pytest.raises(Invalid, match=r"2 features are named for an array of shape \(1, 3\)"):
        registry_platform.scorer.score(first.artifact_uri, first.model, DATA.features, _rows([[1, 2, 3]]))


def test_a_wrong_digest_is_never_scored(registry_platform: DataPlatform, first: Challenger, second: Challenger) -> None:
    with pytest.raises(Corrupt, match="has digest"):
        registry_platform.scorer.score(first.artifact_uri, second.model, DATA.features, _rows([[1, 2]]))


def test_a_model_that_is_gone_is_not_found(registry_platform: DataPlatform, first: Challenger) -> None:
    gone = f"{first.artifact_uri.rsplit('/', 1)[0]}/gone.json"
    with pytest.raises(NotFound):
        registry_platform.scorer.score(gone, first.model, DATA.features, _rows([[1, 2]]))


def test_margins_are_what_the_score_is_made_of(registry_platform: DataPlatform, first: Challenger) -> None:
    rows = _rows([[3.0, 20.0], [14.0, 25.0], [22.0, -3.0]])
    uri, scorer = first.artifact_uri, registry_platform.scorer
    found = scorer.margins(uri, first.model, DATA.features, rows)
    assert (found.members, found.shift, found.of_members.shape) == (("30d",), (0.0,), (3, 1))
    nothing = Rows(rows.ids[:0], rows.event_time[:0], rows.features[:0], rows.label[:0])
    expected = 1 / (1 + np.exp(-np.clip(found.of_members[:, 0], -7, 7)))
    assert np.array_equal(scorer.score(uri, first.model, DATA.features, rows), expected)
    assert scorer.margins(uri, first.model, DATA.features, nothing).of_members.shape == (0, 1)
