"""What each metric means, against plain definitions and on the edges."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import metrics
from policies.metrics import Floats


def _random(seed: int, n: int = 200, steps: int = 20) -> tuple[Floats, Floats]:
    """Labels and scores with ties."""
    rng = np.random.default_rng(seed)
    score = rng.integers(0, steps + 1, n) / steps
    return (rng.random(n) < score).astype(float), score


def test_a_score_of_exactly_the_threshold_says_1() -> None:
    label, score = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.5, 0.5, 0.49, 0.2])
    assert metrics.accuracy(label, score, 0.5) == 0.5
    assert metrics.recall(label, score, 0.5) == 0.5


def test_recall_without_positives_is_0() -> None:
    assert metrics.recall(np.zeros(3), np.ones(3), 0.5) == 0.0


def test_a_certain_and_wrong_answer_costs_a_finite_log_loss() -> None:
    assert metrics.log_loss(np.array([1.0]), np.array([0.0])) == pytest.approx(-math.log(1e-6))
    assert metrics.log_loss(np.array([1.0]), np.array([1.0])) == pytest.approx(1e-6, rel=1e-3)


@given(st.integers(0, 1000))
def test_log_loss_and_brier_follow_their_definitions(seed: int) -> None:
    label, score = _random(seed)
    score = score * 0.9 + 0.05
    expected = -np.mean(label * np.log(score) + (1 - label) * np.log(1 - score))
    assert metrics.log_loss(label, score) == pytest.approx(expected)
    assert metrics.brier(label, score) == pytest.approx(np.mean((label - score) ** 2))


@given(st.integers(0, 1000))
def test_auc_is_the_share_of_pairs_in_the_right_order_with_ties_counting_half(seed: int) -> None:
    label, score = _random(seed)
    pairs = score[label == 1][:, None] - score[label == 0][None, :]
    expected = np.mean((pairs > 0) + 0.5 * (pairs == 0)) if pairs.size else 0.5
    assert metrics.auc(label, score) == pytest.approx(expected)


@pytest.mark.parametrize("label", [np.zeros(5), np.ones(5)])
def test_auc_of_one_class_is_one_half(label: Floats) -> None:
    assert metrics.auc(label, np.linspace(0, 1, 5)) == 0.5


def test_calibration_error_is_the_gap_between_said_and_seen() -> None:
    score = np.repeat([0.2, 0.8], 500)
    label = np.tile([1.0, 0.0], 500)
    assert metrics.calibration_error(label, score) == pytest.approx(0.3)


def test_calibration_error_of_honest_scores_is_small_and_of_a_constant_base_rate_zero() -> None:
    rng = np.random.default_rng(1)
    score = rng.random(20_000)
    label = (rng.random(20_000) < score).astype(float)
    assert metrics.calibration_error(label, score) < 0.02
    assert metrics.calibration_error(label, np.full(20_000, label.mean())) == pytest.approx(0, abs=1e-12)


@given(st.integers(0, 1000))
def test_no_metric_depends_on_the_order_of_the_rows(seed: int) -> None:
    label, score = _random(seed)
    order = np.random.default_rng(seed + 1).permutation(len(label))
    for metric in (metrics.log_loss, metrics.brier, metrics.auc, metrics.calibration_error):
        assert metric(label[order], score[order]) == pytest.approx(metric(label, score), abs=1e-12)


def test_score_shift_is_zero_for_the_same_scores_and_grows_with_the_distance() -> None:
    score = np.random.default_rng(2).random(2000)
    near, far = np.clip(score + 0.05, 0, 1), np.clip(score + 0.4, 0, 1)
    assert metrics.score_shift(score, score) == 0.0
    assert 0 < metrics.score_shift(score, near) < metrics.score_shift(score, far)


@pytest.mark.parametrize("other", [np.zeros(7), np.ones(7), np.full(7, 0.3)])
def test_score_shift_against_constant_scores_is_finite(other: Floats) -> None:
    assert math.isfinite(metrics.score_shift(np.full(5, 0.3), other))
    assert math.isfinite(metrics.score_shift(np.linspace(0, 1, 50), other))


def test_flips_tell_harm_from_benefit() -> None:
    label = np.array([1.0, 1.0, 0.0, 0.0])
    champion, challenger = np.array([0.9, 0.1, 0.1, 0.9]), np.array([0.1, 0.9, 0.1, 0.1])
    assert metrics.flips(label, champion, challenger, 0.5) == (0.25, 0.5)
    assert metrics.disagreement(champion, challenger, 0.5) == 0.75
