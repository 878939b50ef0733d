"""How far a feature moved: zero for the same values, large for others, always finite, never dependent on order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from policies.feature_shift import feature_shift, unseen

VALUES = arrays(
    np.float64,
    st.integers(1, 60),
    elements=st.one_of(st.floats(-1e6, 1e6), st.sampled_from([np.nan, 0.0, 1.0, 2.0])),
)
CHANCE = np.random.default_rng(5)


@given(VALUES, st.booleans())
def test_the_same_values_have_not_moved(values: np.ndarray, categorical: bool) -> None:
    assert feature_shift(values, values[::-1].copy(), categorical=categorical) == 0


@given(VALUES, VALUES, st.booleans())
def test_any_two_samples_give_a_finite_index_that_is_not_negative(a: np.ndarray, b: np.ndarray, categorical: bool) -> None:
    found = feature_shift(a, b, categorical=categorical)
    assert np.isfinite(found)
    assert found >= 0


@pytest.mark.parametrize("categorical", [True, False])
def test_values_that_are_missing_more_often_have_moved(categorical: bool) -> None:
    before = CHANCE.integers(0, 5, 2000).astype(float)
    after = before.copy()
    after[CHANCE.random(2000) < 0.5] = np.nan
    assert feature_shift(before, after, categorical=categorical) > 0.25


def test_a_moved_mean_is_a_clear_change_and_chance_is_none() -> None:
    before = CHANCE.normal(size=5000)
    assert feature_shift(before, CHANCE.normal(size=5000), categorical=False) < 0.02
    assert feature_shift(before, CHANCE.normal(1.0, size=5000), categorical=False) > 0.5


def test_a_new_code_is_a_change_and_is_named() -> None:
    before, after = np.repeat([1.0, 2.0], 500), np.repeat([1.0, 7.0, np.nan], 300)
    assert feature_shift(before, after, categorical=True) > 1
    assert unseen(before, after) == [7.0]
    assert unseen(before, before) == []


def test_without_rows_nothing_has_moved() -> None:
    none, some = np.zeros(0), np.ones(5)
    assert feature_shift(none, some, categorical=False) == feature_shift(some, none, categorical=True) == 0
    assert feature_shift(np.full(5, np.nan), some, categorical=False) > 0
