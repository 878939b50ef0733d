"""When live quality raises an alarm: by how much it is worse than what the champion reached at its gate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.alarm import Severity
from contracts.monitor import MonitorPolicy
from contracts.training import Task
from policies.quality import crossed, measured, readings, severity

POLICY = MonitorPolicy(accuracy_drop=0.04, recall_drop=0.10, auc_drop=0.05, brier_rise=0.02)
REFERENCE = {"accuracy": 0.90, "recall": 0.80, "auc": 0.95, "brier": 0.07}


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (REFERENCE, ()),
        ({"accuracy": 0.861}, ()),
        ({"accuracy": 0.86}, ()),
        ({"accuracy": 0.859}, ("accuracy",)),
        ({"brier": 0.09}, ()),
        ({"brier": 0.091}, ("brier",)),
        ({"brier": 0.01}, ()),
        ({"accuracy": 0.5, "recall": 0.1, "auc": 0.5, "brier": 0.4}, ("accuracy", "recall", "auc", "brier")),
        ({"log_loss": 9.0}, ()),
        ({}, ()),
    ],
)
def test_a_metric_crosses_only_beyond_what_is_allowed(metrics: dict[str, float], expected: tuple[str, ...]) -> None:
    assert crossed(metrics=metrics, reference=REFERENCE, policy=POLICY) == expected


def test_without_a_reference_nothing_crosses() -> None:
    assert crossed(metrics={"accuracy": 0.0}, reference={}, policy=POLICY) == ()


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [(0.90, Severity.LOW), (0.85, Severity.MEDIUM), (0.83, Severity.HIGH), (0.79, Severity.CRITICAL)],
)
def test_severity_grows_with_the_distance(accuracy: float, expected: Severity) -> None:
    assert severity(metrics={"accuracy": accuracy}, reference=REFERENCE, policy=POLICY) == expected


def test_readings_name_value_reference_and_threshold() -> None:
    found = readings(metrics={"accuracy": 0.8, "brier": 0.1, "log_loss": 0.3}, reference=REFERENCE, policy=POLICY)
    assert [(r.name, r.value, r.reference, r.threshold) for r in found] == [
        ("accuracy", 0.8, 0.90, pytest.approx(0.86)),
        ("brier", 0.1, 0.07, pytest.approx(0.09)),
    ]


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_better_metric_never_crosses(value: float, reference: float) -> None:
    better, worse = max(value, reference), min(value, reference)
    assert crossed(metrics={"auc": better}, reference={"auc": worse}, policy=POLICY) == ()
    assert crossed(metrics={"brier": worse}, reference={"brier": better}, policy=POLICY) == ()


# ---- other tasks

PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.5, 0.25, 0.25]])


def test_a_multiclass_task_is_measured_by_log_loss_accuracy_and_recall_of_the_classes_that_occur() -> None:
    found = measured(np.array([0.0, 1.0, 1.0, 0.0]), PROBABILITIES, task=Task.MULTICLASS, threshold=0.5)
    assert found == pytest.approx(
        {"log_loss": -np.log([0.8, 0.7, 0.3, 0.5]).mean(), "accuracy": 0.75, "macro_recall": (1.0 + 0.5) / 2}
    )


def test_a_sure_and_wrong_answer_costs_a_finite_loss() -> None:
    found = measured(np.array([1.0]), np.array([[1.0, 0.0]]), task=Task.MULTICLASS, threshold=0.5)
    assert found["log_loss"] == pytest.approx(-np.log(1e-6))


def test_a_regression_is_measured_by_its_errors() -> None:
    found = measured(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 2.0]), task=Task.REGRESSION, threshold=0.5)
    assert found == pytest.approx({"rmse": np.sqrt(5 / 3), "absolute_error": 1.0, "bias": 1 / 3})


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"log_loss": 0.55, "accuracy": 0.8, "macro_recall": 0.7}, ()),
        ({"log_loss": 0.56}, ("log_loss",)),
        ({"accuracy": 0.7, "macro_recall": 0.5}, ("accuracy", "macro_recall")),
        ({"brier": 9.0, "recall": 0.0, "auc": 0.0}, ()),
    ],
)
def test_a_multiclass_task_is_held_to_its_own_metrics(metrics: dict[str, float], expected: tuple[str, ...]) -> None:
    reference = {"log_loss": 0.5, "accuracy": 0.8, "macro_recall": 0.7, "brier": 0.1, "recall": 0.9, "auc": 0.9}
    assert crossed(metrics=metrics, reference=reference, policy=POLICY, task=Task.MULTICLASS) == expected


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e9])
def test_a_regression_is_held_to_shares_of_its_reference_whatever_the_unit(unit: float) -> None:
    reference = {"rmse": 2.0 * unit, "absolute_error": 1.5 * unit, "bias": 0.1 * unit}
    fine = {"rmse": 2.19 * unit, "absolute_error": 1.64 * unit, "bias": 0.49 * unit}
    bad = {"rmse": 2.21 * unit, "absolute_error": 1.66 * unit, "bias": 0.51 * unit}
    held = {"reference": reference, "policy": POLICY, "task": Task.REGRESSION}
    assert crossed(metrics=fine, **held) == ()
    assert crossed(metrics=bad, **held) == ("rmse", "absolute_error", "bias")
    assert severity(metrics={"rmse": 4.0 * unit}, **held) is Severity.CRITICAL
    assert readings(metrics={"rmse": 4.0 * unit}, **held)[0].threshold == pytest.approx(2.2 * unit)


def test_a_regression_that_never_erred_crosses_with_its_first_error_and_not_before() -> None:
    held = {"reference": {"rmse": 0.0, "bias": 0.0}, "policy": POLICY, "task": Task.REGRESSION}
    assert crossed(metrics={"rmse": 0.0, "bias": 0.0}, **held) == ()
    assert crossed(metrics={"rmse": 0.1, "bias": 0.0}, **held) == ("rmse",)
