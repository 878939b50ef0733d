"""The label-delay curve on delays that are known: exponential, weeks late, never for some."""

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.label_delay import LAST_STEP, RATIO, Delays, curve, delay_of, described, mature_after, maturity

DAY = 86_400.0


def steps(seconds: np.ndarray, *, up: bool) -> np.ndarray:
    places = np.log(np.maximum(seconds, 1)) / math.log(RATIO)
    counted = (np.ceil(places) if up else np.floor(places)).astype(int)
    return np.bincount(np.minimum(counted, LAST_STEP), minlength=LAST_STEP + 1).astype(np.int64)


def seen(delays: np.ndarray, ages: np.ndarray) -> Delays:
    """What is known of rows of these ages whose labels take so long."""
    there = delays <= ages
    return Delays(steps(delays[there], up=True), steps(ages[~there], up=False))


def _ages(n: int, days: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, days * DAY, n)


def _exponential(n: int, days: float, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).exponential(days * DAY, n)


@pytest.mark.parametrize("mean", [0.01, 1, 5, 12])
def test_the_quantiles_of_exponential_delays_are_found_though_many_labels_are_still_to_come(mean: float) -> None:
    found = described(seen(_exponential(20_000, mean), _ages(20_000, 40)), None)
    for share in (0.25, 0.5, 0.75):
        wanted = -math.log(1 - share) * mean
        quantile = found.quantile(share)
        assert quantile is not None
        assert 0.95 * wanted <= quantile / timedelta(days=1) <= 1.2 * wanted


def test_counting_only_labels_that_arrived_would_be_too_hopeful() -> None:
    delays, ages = _exponential(20_000, 20), _ages(20_000, 30)
    median = described(seen(delays, ages), None).quantile(0.5)
    assert median is not None
    assert np.median(delays[delays <= ages]) / DAY < 8
    assert 12 < median / timedelta(days=1) < 16


def test_labels_that_never_come_flatten_the_curve() -> None:
    never = np.random.default_rng(3).random(20_000) < 0.3
    found = curve(seen(np.where(never, np.inf, _exponential(20_000, 1)), _ages(20_000, 60)))
    assert found.ever == pytest.approx(0.7, abs=0.02)
    assert found.settled
    assert not curve(seen(_exponential(20_000, 20), _ages(20_000, 30))).settled


def test_the_window_is_as_mature_as_the_share_of_its_labels_that_came() -> None:
    delays, ages = _exponential(50_000, 3), _ages(50_000, 20)
    never = np.random.default_rng(4).random(50_000) < 0.2
    delays = np.where(never, np.inf, delays)
    rows = seen(delays, ages)
    truth = (delays <= ages).sum() / (~never).sum()
    assert maturity(curve=curve(rows), window=rows) == pytest.approx(truth, abs=0.02)


def test_the_foretold_moment_is_the_one_at_which_enough_labels_are_there() -> None:
    delays, ages = _exponential(50_000, 7), _ages(50_000, 60)
    known, window = seen(delays, ages), ages < 14 * DAY
    rows = seen(delays[window], ages[window])
    ahead = mature_after(curve=curve(known), window=rows, labelled=0.8 * rows.rows)
    assert ahead is not None
    there = (delays[window] <= ages[window] + ahead.total_seconds()).mean()
    assert 0.78 <= there <= 0.86


def test_labels_three_weeks_late_are_waited_for_three_weeks() -> None:
    delays, ages = np.full(5000, 21 * DAY), _ages(5000, 60)
    window = ages < 10 * DAY
    rows = seen(delays[window], ages[window])
    ahead = mature_after(curve=curve(seen(delays, ages)), window=rows, labelled=0.99 * rows.rows)
    assert ahead is not None
    assert timedelta(days=19) <= ahead <= timedelta(days=26)


def test_nobody_waits_for_what_never_comes() -> None:
    never = np.random.default_rng(5).random(20_000) < 0.5
    rows = seen(np.where(never, np.inf, _exponential(20_000, 1)), _ages(20_000, 60))
    assert mature_after(curve=curve(rows), window=rows, labelled=0.8 * rows.rows) is None


def test_a_handful_of_rows_says_nothing() -> None:
    rows = seen(np.full(5, DAY), np.full(5, 3 * DAY))
    assert curve(rows).ever == 0
    assert described(rows, None).quantiles == ()
    assert maturity(curve=curve(rows), window=Delays(rows.waiting, rows.waiting)) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 60), st.floats(0, 1))
def test_the_curve_only_rises_and_more_waiting_never_brings_fewer_labels(seed: int, days: float, never: float) -> None:
    random = np.random.default_rng(seed)
    delays = np.where(random.random(500) < never, np.inf, random.exponential(days * DAY, 500))
    rows = seen(delays, random.uniform(0, 40 * DAY, 500))
    found = curve(rows)
    assert (np.diff(found.share) >= 0).all()
    assert 0 <= found.ever <= 1
    sooner = mature_after(curve=found, window=rows, labelled=0.3 * rows.rows)
    later = mature_after(curve=found, window=rows, labelled=0.6 * rows.rows)
    assert later is None or (sooner is not None and sooner <= later)
    assert delay_of(0) == timedelta(seconds=1)
