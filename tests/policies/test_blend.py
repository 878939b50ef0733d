"""The blend: the mean of clipped margins, a shift, and the link of the task."""

import numpy as np
import pytest

from contracts.training import Task
from policies.blend import LIMIT, blend, blended_margin

NONE = np.zeros(1)


def test_a_binary_blend_is_the_sigmoid_of_the_mean_log_odds() -> None:
    score = blend([np.array([1.0, -2.0]), np.array([3.0, 0.0])], task=Task.BINARY, shift=NONE)
    assert score == pytest.approx(1 / (1 + np.exp([-2.0, 1.0])), abs=1e-15)


def test_no_member_drowns_the_others() -> None:
    assert blended_margin([np.array([900.0]), np.array([-1.0])], task=Task.BINARY) == pytest.approx([(LIMIT - 1) / 2])


def test_a_regression_is_the_plain_mean_plus_the_shift() -> None:
    assert blend([np.array([900.0]), np.array([-100.0])], task=Task.REGRESSION, shift=np.array([5.0])).tolist() == [405.0]


def test_a_multiclass_blend_is_renormalised_and_the_shift_favours_its_class() -> None:
    margins = [np.log(np.array([[0.7, 0.2, 0.1]])), np.log(np.array([[0.1, 0.2, 0.7]]))]
    plain = blend(margins, task=Task.MULTICLASS, shift=np.zeros(3))
    shifted = blend(margins, task=Task.MULTICLASS, shift=np.array([1.0, 0.0, 0.0]))
    assert plain.sum() == pytest.approx(1)
    assert plain[0, 0] == pytest.approx(plain[0, 2])
    assert shifted[0, 0] > plain[0, 0]
    assert shifted.sum() == pytest.approx(1)


@pytest.mark.parametrize("task", list(Task))
def test_extreme_margins_give_finite_scores(task: Task) -> None:
    margin = np.array([[-1e300, 0.0], [0.0, -1e300]]) if task is Task.MULTICLASS else np.array([-1e300, 1e300])
    assert np.isfinite(blend([margin], task=task, shift=np.zeros(1))).all()
