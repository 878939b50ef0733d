"""The model artifact: format 1 scores as it always did, format 2 holds every task, the same content gives the same bytes."""

import json
from gzip import decompress
from hashlib import sha256
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from contracts.training import Task
from learning.artifact import Artifact, Member, Model, NotAModel, decoded, encoded, shifted
from policies.blend import LIMIT

FORMAT_ONE = Path(__file__).parent / "artifacts" / "format-1"
MATRIX = np.random.default_rng(5).normal(size=(50, 2))
CLASSES = ("calm", "busy", "full")


def _trees(seed: int, task: Task = Task.BINARY) -> str:
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(400, 2))
    signal = matrix[:, 0] + 0.5 * random.normal(size=400)
    label = {Task.BINARY: signal > 0, Task.MULTICLASS: np.digitize(signal, (-0.5, 0.5)), Task.REGRESSION: 100 * signal}[task]
    told: dict[str, Any] = {"objective": task.value, "verbosity": -1, "num_threads": 1, "learning_rate": 0.5}
    told |= {"num_class": 3} if task is Task.MULTICLASS else {}
    return lightgbm.train(told, lightgbm.Dataset(matrix, label.astype(float)), num_boost_round=30).model_to_string()


def _artifact(task: Task = Task.BINARY, *, members: int = 2, **other: Any) -> Artifact:
    made = {"features": ("a", "b"), "task": task}
    made |= {"members": tuple(Member(name=f"{n}d", trees=_trees(n, task)) for n in range(1, members + 1))}
    made |= {"classes": CLASSES, "shift": (0.0,) * 3} if task is Task.MULTICLASS else {}
    return Artifact(**(made | other))


def _format_one() -> bytes:
    """As an earlier release wrote it."""
    return decompress((FORMAT_ONE / "model.json.gz").read_bytes())


def _raw(task: Task) -> list[NDArray[np.float64]]:
    return [np.asarray(lightgbm.Booster(model_str=_trees(n, task)).predict(MATRIX, raw_score=True)) for n in (1, 2)]


def test_an_artifact_of_format_1_scores_bit_for_bit_as_when_it_was_written() -> None:
    known = json.loads((FORMAT_ONE / "scores.json").read_text())
    model = Model.load(_format_one())
    matrix = np.array([[float("nan") if v is None else float.fromhex(v) for v in row] for row in known["rows"]])
    wanted = [float.fromhex(score) for score in known["scores"]]
    assert model.digest == known["digest"]
    assert model.threshold is None
    assert model.score(matrix).tolist() == wanted
    assert [model.score(row[None])[0] for row in matrix] == wanted


def test_the_blend_is_the_mean_of_clipped_log_odds_plus_the_shift() -> None:
    margin = np.mean([np.clip(raw, -LIMIT, LIMIT) for raw in _raw(Task.BINARY)], axis=0)
    for shift in (0.0, -0.75):
        score = Model.load(encoded(_artifact(shift=(shift,)))).score(MATRIX)
        np.testing.assert_allclose(score, 1 / (1 + np.exp(-(margin + shift))))


def test_a_multiclass_score_is_a_probability_for_each_class() -> None:
    score = Model.load(encoded(_artifact(Task.MULTICLASS))).score(MATRIX)
    assert score.shape == (50, 3)
    np.testing.assert_allclose(score.sum(axis=1), 1)
    assert (score.argmax(axis=1) == np.digitize(MATRIX[:, 0], (-0.5, 0.5))).mean() > 0.7


def test_a_regressions_score_is_the_mean_of_its_members() -> None:
    score = Model.load(encoded(_artifact(Task.REGRESSION, shift=(10.0,)))).score(MATRIX)
    np.testing.assert_allclose(score, np.mean(_raw(Task.REGRESSION), axis=0) + 10)


@pytest.mark.parametrize(("task", "shape"), [(Task.BINARY, (0,)), (Task.MULTICLASS, (0, 3)), (Task.REGRESSION, (0,))])
def test_no_rows_give_no_scores(task: Task, shape: tuple[int, ...]) -> None:
    assert Model.load(encoded(_artifact(task))).score(np.empty((0, 2))).shape == shape


def test_the_same_artifact_gives_the_same_bytes_and_the_digest_is_theirs() -> None:
    content = encoded(_artifact(threshold=0.2))
    assert content == encoded(decoded(content)) == encoded(_artifact(threshold=0.2))
    assert Model.load(content).digest == sha256(content).hexdigest()
    assert json.loads(content)["threshold"] == Model.load(content).threshold == 0.2


def test_a_shift_replaces_the_one_before_and_leads_back_to_the_same_bytes() -> None:
    content = encoded(_artifact(threshold=0.2))
    once = shifted(content, (0.5,))
    assert decoded(once) == decoded(content).model_copy(update={"shift": (0.5,)})
    assert shifted(once, (0.5,)) is once
    assert shifted(shifted(once, (-1.0,)), (0.0,)) == content


def test_a_shifted_artifact_of_format_1_is_one_of_format_2() -> None:
    content = _format_one()
    assert shifted(content, (0.0,)) is content
    found = Model.load(shifted(content, (0.5,)))
    assert (found.artifact.format, found.artifact.shift, found.features) == (2, (0.5,), ("hour", "temperature"))


@pytest.mark.parametrize("shift", [(), (0.1, 0.2), (float("nan"),), (float("inf"),)])
def test_a_shift_that_does_not_fit_is_refused(shift: tuple[float, ...]) -> None:
    with pytest.raises(NotAModel, match="1 finite numbers wanted"):
        shifted(encoded(_artifact()), shift)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "the file: Invalid JSON"),
        ("[]", "the file"),
        ("\xff", "the file"),
        ('{"format": 3, "features": ["a"], "members": [{"name": "all", "trees": "x"}]}', "format"),
        ('{"format": 1, "features": ["a"], "members": []}', "members"),
        ('{"format": 1, "features": ["a"], "members": [{"horizon": "all", "trees": "x"}], "shift": [1]}', "shift"),
        ('{"format": 2, "features": ["a"], "members": [{"name": "all", "trees": "x"}], "surprise": 1}', "surprise"),
        ('{"format": 1, "features": ["a"], "members": [{"horizon": "all", "trees": "rubbish"}]}', "trees of member all"),
    ],
)
def test_what_is_no_model_is_refused_with_the_reason(content: str, why: str) -> None:
    with pytest.raises(NotAModel, match=why):
        Model.load(content.encode("latin-1"))


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"classes": CLASSES}, "which a binary task doesn't have"),
        ({"task": Task.MULTICLASS}, "names 0 classes"),
        ({"shift": (0.0, 0.0)}, "shift has 2 numbers, wanted 1"),
        ({"task": Task.REGRESSION, "threshold": 0.5}, "a regression task has no threshold"),
        ({"members": ()}, "members"),
    ],
)
def test_what_does_not_fit_the_task_is_refused(other: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Artifact(**({"features": ("a",), "members": (Member(name="all", trees="x"),)} | other))


def test_trees_of_other_features_or_classes_are_refused() -> None:
    with pytest.raises(NotAModel, match="trained on 2 features, the file lists 3"):
        Model.load(encoded(_artifact(features=("a", "b", "c"))))
    with pytest.raises(NotAModel, match="tells 3 classes apart, the file lists 4"):
        Model.load(encoded(_artifact(Task.MULTICLASS, classes=(*CLASSES, "more"), shift=(0.0,) * 4)))


def test_a_wrong_number_of_columns_is_refused() -> None:
    with pytest.raises(ValueError, match=r"wants 2 columns \(a, b\), got an array of shape \(1, 3\)"):
        Model.load(encoded(_artifact())).score(np.zeros((1, 3)))
