"""Recalibration: a bounded shift, on only while its own record gains."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.bench import RecalibrationPolicy
from contracts.training import Task
from policies.bench_record import microseconds
from policies.blend import linked
from policies.recalibration import History, Recalibration, recalibration

NOW = datetime(2024, 6, 1, tzinfo=UTC)
WEEK = 7 * 86_400_000_000
POLICY = RecalibrationPolicy()


def history(bias: float, task: Task = Task.BINARY, hours: int = 24 * 7 * 16, seed: int = 0) -> History:
    """Margins that are wrong by `bias`, hour by hour until now."""
    rng = np.random.default_rng(seed)
    event_time = microseconds(NOW) - 3_600_000_000 * np.arange(hours, 0, -1, dtype=np.int64)
    margin = rng.normal(size=(hours, 3) if task is Task.MULTICLASS else hours)
    true = margin + (np.array([bias, 0, 0]) if task is Task.MULTICLASS else bias)
    if task is Task.REGRESSION:
        label = true + rng.normal(size=hours) / 10
    elif task is Task.BINARY:
        label = (rng.random(hours) < linked(true, task=task)).astype(np.float64)
    else:
        label = (rng.random((hours, 1)) > linked(true, task=task).cumsum(axis=1)).sum(axis=1).astype(np.float64)
    return History(event_time, event_time + 3_600_000_000, label, margin, task)


def advice(past: History, *, was_on: bool = False, present: tuple[float, ...] = (0.0,)) -> Recalibration:
    trial = past.trial(now=microseconds(NOW), period=WEEK, policy=POLICY)
    return recalibration(history=past, trial=trial, now=NOW, was_on=was_on, present=present, policy=POLICY)


@pytest.mark.parametrize("task", list(Task))
def test_a_lasting_bias_is_found_and_taken_out(task: Task) -> None:
    found = advice(history(1.0, task), present=(0.0,) * (3 if task is Task.MULTICLASS else 1))
    assert found.on
    assert found.changed
    lifted = found.shift[0] - (np.mean(found.shift[1:]) if task is Task.MULTICLASS else 0.0)
    assert lifted == pytest.approx(1.0, abs=0.2)


def test_a_model_that_is_right_is_left_alone() -> None:
    found = advice(history(0.0))
    assert (found.on, found.changed, found.shift) == (False, False, (0.0,))


def test_a_shift_that_no_longer_gains_is_taken_back() -> None:
    found = advice(history(0.0, seed=4), was_on=True, present=(0.8,))
    assert found.changed == (found.shift != (0.8,))
    assert abs(found.shift[0]) < 0.2


def test_a_shift_near_the_one_in_service_is_no_change() -> None:
    wanted = advice(history(1.0)).shift[0]
    found = advice(history(1.0), was_on=True, present=(wanted + 0.04,))
    assert (found.changed, found.shift) == (False, (wanted + 0.04,))


def test_the_shift_is_bounded() -> None:
    assert advice(history(9.0)).shift[0] <= POLICY.max_shift


def test_no_rows_means_no_shift() -> None:
    assert advice(history(1.0, hours=0)) == Recalibration(on=False, shift=(0.0,), gain=0.0, changed=False)


def test_a_trial_is_fitted_on_what_was_known_before_its_period() -> None:
    past = history(1.0)
    late = past.event_time >= microseconds(NOW) - WEEK
    poisoned = History(past.event_time, past.known_at, np.where(late, 1 - past.label, past.label), past.margin, past.task)
    found = [one.trial(now=microseconds(NOW), period=WEEK, policy=POLICY) for one in (past, poisoned)]
    assert found[0].tobytes() == found[1].tobytes()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(-2, 2))
def test_a_busy_day_weighs_no_more_than_its_share(seed: int, bias: float) -> None:
    """Each row of the newest day five times over changes nothing: a day counts as 24 rows at most."""
    past = history(bias, hours=24 * 30, seed=seed)
    times = np.where(past.event_time >= microseconds(NOW) - WEEK // 7, 5, 1)
    crowd = History(*(np.repeat(a, times) for a in (past.event_time, past.known_at, past.label, past.margin)), past.task)
    one, other = (h.fit(now=microseconds(NOW) + WEEK, policy=POLICY) for h in (past, crowd))
    assert one == pytest.approx(other, abs=1e-9)
