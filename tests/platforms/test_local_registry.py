"""What only the embedded registry and its model file can show: damage, a crash half-way, a full disk."""

import json
import os
from hashlib import sha256
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from contracts.training import ModelCard, ModelRef, ModelStatus, Recipe
from platforms.errors import Corrupt, Exhausted, Invalid, NotFound
from platforms.local.model import LOGIT_LIMIT, Member, Model, write_model
from platforms.local.registry import LocalRegistry
from tests.platforms.data_fixtures import DATA, TAGS, at


def _booster(seed: int) -> lightgbm.Booster:
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(400, 2))
    label = (matrix[:, 0] + 0.5 * random.normal(size=400) > 0).astype(float)
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "learning_rate": 0.5}
    return lightgbm.train(parameters, lightgbm.Dataset(matrix, label), num_boost_round=30)


def _member(seed: int, horizon: str = "P30D") -> Member:
    return Member(horizon=horizon, trees=_booster(seed).model_to_string())


def _card(folder: Path, seed: int = 1) -> ModelCard:
    folder.mkdir(exist_ok=True)
    path, digest = write_model(folder, DATA.features, [_member(seed)])
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


def test_the_blend_is_the_mean_of_clipped_logits(tmp_path: Path) -> None:
    path, digest = write_model(tmp_path, ("a", "b"), [_member(1), _member(2, "all")])
    matrix = np.random.default_rng(5).normal(size=(50, 2))
    logits = [np.clip(_booster(seed).predict(matrix, raw_score=True), -LOGIT_LIMIT, LOGIT_LIMIT) for seed in (1, 2)]
    np.testing.assert_allclose(Model.load(path, digest).score(matrix), 1 / (1 + np.exp(-np.mean(logits, axis=0))))


def test_the_digest_is_the_files(tmp_path: Path) -> None:
    path, digest = write_model(tmp_path, ("a", "b"), [_member(1)])
    assert digest == sha256(path.read_bytes()).hexdigest() == Model.load(path, None).digest
    assert json.loads(path.read_text())["format"] == 1


def test_a_model_with_a_wrong_digest_is_not_loaded(tmp_path: Path) -> None:
    path, digest = write_model(tmp_path, ("a", "b"), [_member(1)])
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Corrupt, match=f"has digest .* wanted {digest[:12]}"):
        Model.load(path, digest)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is not a model"),
        ("[]", "is not a model"),
        ('{"format": 2, "features": ["a"], "members": [{"horizon": "all", "trees": "x"}]}', "format"),
        ('{"format": 1, "features": ["a"], "members": []}', "members"),
        ('{"format": 1, "features": ["a"], "members": [{"horizon": "all", "trees": "rubbish"}]}', "trees of member all"),
    ],
)
def test_what_is_no_model_is_refused_with_the_reason(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(content)
    with pytest.raises(Corrupt, match=why):
        Model.load(path, None)


def test_trees_of_other_features_are_refused(tmp_path: Path) -> None:
    path, digest = write_model(tmp_path, ("a", "b", "c"), [_member(1)])
    with pytest.raises(Corrupt, match="trained on 2 features, the file lists 3"):
        Model.load(path, digest)


def test_a_wrong_number_of_columns_is_refused(tmp_path: Path) -> None:
    model = Model.load(*write_model(tmp_path, ("a", "b"), [_member(1)]))
    with pytest.raises(Invalid, match=r"wants 2 columns \(a, b\), got an array of shape \(1, 3\)"):
        model.score(np.zeros((1, 3)))


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
