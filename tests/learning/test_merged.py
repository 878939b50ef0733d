"""Members merged into one booster say what they say apart, to the last bit."""

import lightgbm
import numpy as np
import pytest

from learning.merged import merged, raw

MATRIX = np.random.default_rng(5).normal(size=(200, 3)) * 3
MATRIX[:20] = np.nan


def _text(seed: int, rounds: int, objective: str = "binary", codes: bool = False) -> str:
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(400, 3))
    matrix[:, 2] = random.integers(0, 12, 400)
    matrix[random.random(matrix.shape) < 0.05] = np.nan
    label = np.nan_to_num(matrix[:, 0]) + (matrix[:, 2] % 3 == 1) + 0.5 * random.normal(size=400)
    label = (label > 0.4).astype(float) if objective == "binary" else 100 * label
    told = {"objective": objective, "verbosity": -1, "num_threads": 1, "num_leaves": 7, "min_data_per_group": 5, "cat_smooth": 1}
    data = lightgbm.Dataset(matrix, label, categorical_feature=[2] if codes else "auto")
    return lightgbm.train(told, data, num_boost_round=rounds).model_to_string()


@pytest.mark.parametrize("objective", ["binary", "regression"])
@pytest.mark.parametrize("codes", [False, True])
def test_merged_members_score_as_they_do_apart(objective: str, codes: bool) -> None:
    texts = [_text(seed, rounds, objective, codes) for seed, rounds in ((1, 12), (2, 3), (3, 20), (4, 1))]
    whole = merged(texts)
    assert whole is not None
    apart = np.stack([raw(lightgbm.Booster(model_str=text), MATRIX) for text in texts], axis=1)
    assert np.array_equal(raw(whole, MATRIX), apart)
    assert np.array_equal(np.concatenate([raw(whole, row[None]) for row in MATRIX]), apart)


def test_one_member_and_averaged_trees_are_left_as_they_are() -> None:
    text = _text(1, 3)
    assert merged([text]) is None
    assert merged([text, text.replace("\nfeature_names", "\naverage_output\nfeature_names", 1)]) is None
