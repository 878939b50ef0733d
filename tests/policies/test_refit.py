"""What ships has to decide like what was judged."""

from typing import Any

import numpy as np
import pytest

from contracts.training import Task
from policies.metrics import Floats
from policies.refit import compare

LIMITS: dict[str, Any] = {"threshold": 0.5, "max_disagreement": 0.25, "max_score_shift": 20.0, "min_rows": 100}


def _differing(rows: int, different: int) -> tuple[Floats, Floats]:
    judged = np.full(rows, 0.8)
    refit = judged.copy()
    refit[:different] = 0.2
    return judged, refit


@pytest.mark.parametrize(
    ("rows", "different", "agrees"),
    [(100, 0, True), (100, 25, True), (100, 33, False), (1000, 300, False), (3, 1, True), (3, 3, False), (1, 1, True)],
)
def test_disagreement_is_held_against_its_limit_and_against_chance(rows: int, different: int, agrees: bool) -> None:
    judged, refit = _differing(rows, different)
    report = compare(judged=judged, refit=refit, **LIMITS)
    assert (report.agrees, report.rows) == (agrees, rows)
    assert report.disagreement == pytest.approx(different / rows)


def test_scores_that_move_without_crossing_the_threshold_agree_but_the_shift_shows() -> None:
    judged = np.linspace(0.55, 0.7, 200)
    report = compare(judged=judged, refit=judged + 0.25, **LIMITS)
    assert report.agrees
    assert report.disagreement == 0
    assert report.score_shift > 1


@pytest.mark.parametrize(("rows", "agrees"), [(200, False), (99, True)])
def test_a_shift_beyond_its_limit_disagrees_where_enough_requests_show_it(rows: int, agrees: bool) -> None:
    judged = np.linspace(0.55, 0.7, rows)
    report = compare(judged=judged, refit=judged + 0.25, **{**LIMITS, "max_score_shift": 1.0})
    assert report.agrees is agrees
    assert ("distributed otherwise" in report.sentence) is not agrees


def test_without_a_request_it_agrees_and_says_that_nothing_was_checked() -> None:
    report = compare(judged=np.zeros(0), refit=np.zeros(0), **LIMITS)
    assert report.agrees
    assert "unchecked" in report.sentence


@pytest.mark.parametrize("bad", [np.array([0.1, np.nan]), np.array([0.1, np.inf]), np.array([0.1, 1.2]), np.array([0.1])])
def test_scores_that_are_no_probabilities_for_the_same_rows_are_refused(bad: Floats) -> None:
    with pytest.raises(ValueError, match="scores of the refit"):
        compare(judged=np.array([0.1, 0.9]), refit=bad, **LIMITS)


@pytest.mark.parametrize(("correlation", "agrees"), [(0.99, True), (0.93, True), (0.8, False), (0.0, False)])
def test_two_fits_of_a_number_agree_while_they_correlate_well(correlation: float, agrees: bool) -> None:
    random = np.random.default_rng(1)
    judged, other = random.normal(1e4, 2e3, (2, 2000))
    refit = 1e4 + correlation * (judged - 1e4) + np.sqrt(1 - correlation**2) * (other - 1e4)
    report = compare(judged=judged, refit=refit, **LIMITS, task=Task.REGRESSION)
    assert report.agrees is agrees


def test_classes_agree_by_the_likeliest_one() -> None:
    judged = np.tile([0.5, 0.3, 0.2], (100, 1))
    refit = np.where(np.arange(100)[:, None] < 40, [0.3, 0.5, 0.2], judged)
    report = compare(judged=judged, refit=refit, **LIMITS, task=Task.MULTICLASS)
    assert (report.agrees, report.disagreement) == (False, pytest.approx(0.4))
