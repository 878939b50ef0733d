"""When live quality raises an alarm: by how much it is worse than what the champion reached at its gate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.alarm import Severity
from contracts.monitor import MonitorPolicy
from policies.quality import crossed, readings, severity

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
