"""What only the embedded registry and its model file can show: damage, a crash half-way, a full disk."""

import os
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from contracts.training import ModelCard, ModelRef, ModelStatus, Recipe
from learning.artifact import Artifact, Member
from platforms.errors import Conflict, Corrupt, Exhausted, Invalid, NotFound
from platforms.local.registry import LocalRegistry
from platforms.tabular.artifact_file import load_model, write_model
from tests.platforms.data_fixtures import DATA, TAGS, at


def _booster(seed: int) -> lightgbm.Booster:
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(400, 2))
    label = (matrix[:, 0] + 0.5 * random.normal(size=400) > 0).astype(float)
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "learning_rate": 0.5}
    return lightgbm.train(parameters, lightgbm.Dataset(matrix, label), num_boost_round=30)


def _artifact(*seeds: int) -> Artifact:
    return Artifact(features=DATA.features, members=[Member(name=f"{n}d", trees=_booster(n).model_to_string()) for n in seeds])


def _card(folder: Path, seed: int = 1) -> ModelCard:
    folder.mkdir(exist_ok=True)
    path, digest = write_model(folder, _artifact(seed))
    return ModelCard(
        model=ModelRef(endpoint="bikes", digest=digest),
        artifact_uri=str(path),
        recipe=Recipe(),
        features=DATA.features,
        trained_through=at(60 + seed),
        rows=400,
        base_rate=0.5,
        dataset_sha256="0" * 64,
        incident=TAGS.incident,
    )


# ---- the model file


def test_a_model_with_a_wrong_digest_is_not_loaded(tmp_path: Path) -> None:
    path, digest = write_model(tmp_path, _artifact(1))
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Corrupt, match=f"has digest .* wanted {digest[:12]}"):
        load_model(path, digest)


def test_what_is_no_model_is_refused_with_the_reason_and_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text('{"format": 3}')
    with pytest.raises(Corrupt, match=r"model.json is not a model: format: .*; train or register it again"):
        load_model(path, None)


# ---- the registry


def test_a_damaged_artifact_is_not_handed_out(home: Path, tmp_path: Path) -> None:
    registry = LocalRegistry(home)
    kept = registry.register(_card(tmp_path / "job"))
    Path(kept.artifact_uri).write_text("{}")
    with pytest.raises(Corrupt, match="restore the file or train again"):
        registry.get(kept.model)


def test_a_damaged_card_is_named(home: Path, tmp_path: Path) -> None:
    registry = LocalRegistry(home)
    kept = registry.register(_card(tmp_path / "job"))
    path = Path(kept.artifact_uri).with_name("card.json")
    path.write_text(path.read_text().replace("pending", "emperor"))
    with pytest.raises(Corrupt, match=r"card.json: status.*found 'emperor'"):
        registry.get(kept.model)


def test_a_crash_between_two_champions_is_healed_by_the_next_mark(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = LocalRegistry(home)
    one, two = (registry.register(_card(tmp_path / str(seed), seed)).model for seed in (1, 2))
    registry.mark(one, ModelStatus.CHAMPION)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "cards", _killed)
        with pytest.raises(KeyboardInterrupt):
            registry.mark(two, ModelStatus.CHAMPION)
    assert registry.mark(two, ModelStatus.CHAMPION).status is ModelStatus.CHAMPION
    assert [card.status for card in registry.cards("bikes")] == [ModelStatus.RETIRED, ModelStatus.CHAMPION]


def test_a_full_disk_registers_nothing_and_the_next_call_works(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, wanted = LocalRegistry(home), _card(tmp_path / "job")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(Exhausted, match="Free some space"):
            registry.register(wanted)
    with pytest.raises(NotFound):
        registry.get(wanted.model)
    assert not [path for path in home.rglob("*") if path.is_file()]
    assert registry.register(wanted).status is ModelStatus.PENDING


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


# ---- recalibration


def test_a_recalibrated_model_is_the_same_members_under_a_shift(home: Path, tmp_path: Path) -> None:
    registry = LocalRegistry(home)
    base = registry.register(_card(tmp_path / "job"))
    made = registry.recalibrated(base.model, (0.25,), "incident/recalibrate/1")
    assert (made.derived_from, made.shift, made.status) == (base.model.digest, (0.25,), ModelStatus.PENDING)
    assert (made.trained_through, made.reference) == (base.trained_through, base.reference)
    before, after = (load_model(Path(card.artifact_uri), card.model.digest) for card in (base, made))
    matrix = np.random.default_rng(5).normal(size=(50, 2))
    odds = [np.log(score / (1 - score)) for score in (before.score(matrix), after.score(matrix))]
    np.testing.assert_allclose(odds[1] - odds[0], 0.25)
    assert registry.recalibrated(base.model, (0.25,), "incident/recalibrate/1") == made


def test_shifts_do_not_pile_up_and_lead_back(home: Path, tmp_path: Path) -> None:
    registry = LocalRegistry(home)
    base = registry.mark(registry.register(_card(tmp_path / "job")).model, ModelStatus.CHAMPION)
    first = registry.recalibrated(base.model, (0.25,), "1")
    second = registry.recalibrated(first.model, (0.5,), "2")
    assert (second.derived_from, second.shift) == (first.model.digest, (0.5,))
    assert registry.recalibrated(base.model, (0.5,), "3") == second
    assert registry.recalibrated(second.model, (0.0,), "4") == base


def test_a_key_makes_one_recalibration(home: Path, tmp_path: Path) -> None:
    registry = LocalRegistry(home)
    base = registry.register(_card(tmp_path / "job"))
    registry.recalibrated(base.model, (0.25,), "1")
    with pytest.raises(Conflict, match="the key '1' made model"):
        registry.recalibrated(base.model, (0.5,), "1")


@pytest.mark.parametrize("shift", [(), (0.1, 0.2), (float("nan"),)])
def test_a_shift_that_does_not_fit_is_refused_and_nothing_registered(
    home: Path, tmp_path: Path, shift: tuple[float, ...]
) -> None:
    registry = LocalRegistry(home)
    base = registry.register(_card(tmp_path / "job"))
    with pytest.raises(Invalid, match="1 finite numbers wanted"):
        registry.recalibrated(base.model, shift, "1")
    assert len(registry.cards("bikes")) == 1
