"""Coverage as a table: what a window holds, and what is missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.snapshot import Coverage, CoveragePolicy
from contracts.training import Task
from policies.coverage import shortfalls

POLICY = CoveragePolicy(min_rows=300, min_days=20, min_label_rate=0.8, min_positives=20)
FULL = Coverage(rows=720, labelled=700, days=30, label_rate=0.97, positives=200, negatives=500)


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({}, []),
        ({"labelled": 300, "days": 20, "label_rate": 0.8, "positives": 20, "negatives": 20}, []),
        ({"labelled": 299}, ["rows"]),
        ({"days": 19}, ["days"]),
        ({"label_rate": 0.79}, ["label_rate"]),
        ({"positives": 0}, ["positives"]),
        ({"negatives": 19}, ["negatives"]),
        ({"label_rate": 0.1, "days": 3}, ["days", "label_rate"]),
        (
            {"rows": 0, "labelled": 0, "days": 0, "label_rate": 0.0, "positives": 0, "negatives": 0},
            ["rows", "days", "label_rate", "positives", "negatives"],
        ),
    ],
)
def test_each_minimum_is_checked_on_its_own(changed: dict[str, float], missing: list[str]) -> None:
    coverage = FULL.model_copy(update=changed)
    assert [short.what for short in shortfalls(coverage=coverage, policy=POLICY)] == missing


def test_a_shortfall_says_what_was_found_and_what_was_wanted() -> None:
    (short,) = shortfalls(coverage=FULL.model_copy(update={"positives": 3}), policy=POLICY)
    assert (short.what, short.found, short.wanted) == ("positives", 3, 20)


def test_many_unlabelled_rows_are_no_substitute_for_labelled_ones() -> None:
    coverage = FULL.model_copy(update={"rows": 100_000, "labelled": 10})
    assert [short.what for short in shortfalls(coverage=coverage, policy=POLICY)] == ["rows"]


@given(
    labelled=st.integers(0, 2000),
    days=st.integers(0, 60),
    rate=st.floats(0, 1),
    positives=st.integers(0, 1000),
    negatives=st.integers(0, 1000),
)
def test_more_of_anything_never_makes_a_window_fall_shorter(
    labelled: int, days: int, rate: float, positives: int, negatives: int
) -> None:
    less = Coverage(labelled=labelled, days=days, label_rate=rate, positives=positives, negatives=negatives)
    more = Coverage(
        labelled=labelled + 1, days=days + 1, label_rate=min(1.0, rate + 0.1), positives=positives + 1, negatives=negatives + 1
    )
    missing = {short.what for short in shortfalls(coverage=less, policy=POLICY)}
    assert {short.what for short in shortfalls(coverage=more, policy=POLICY)} <= missing


@pytest.mark.parametrize(
    ("classes", "missing"),
    [
        ({"calm": 400, "busy": 20, "full": 0}, []),
        ({"calm": 681, "busy": 19, "full": 0}, ["second_class"]),
        ({"calm": 700}, ["second_class"]),
        ({}, ["second_class"]),
    ],
)
def test_of_many_classes_the_second_largest_counts(classes: dict[str, int], missing: list[str]) -> None:
    coverage = FULL.model_copy(update={"positives": 0, "negatives": 0, "classes": classes})
    assert [s.what for s in shortfalls(coverage=coverage, policy=POLICY, task=Task.MULTICLASS)] == missing


@pytest.mark.parametrize(("distinct", "missing"), [(2, []), (1, ["distinct_labels"]), (0, ["distinct_labels"])])
def test_a_regression_needs_labels_that_differ_and_no_classes(distinct: int, missing: list[str]) -> None:
    coverage = FULL.model_copy(update={"positives": 0, "negatives": 0, "distinct": distinct, "spread": 1.5})
    assert [s.what for s in shortfalls(coverage=coverage, policy=POLICY, task=Task.REGRESSION)] == missing
