"""What a simulation may know, and what it may forget."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from backtest.history import History
from backtest.periods import Period
from learning.rows import LabelledRows, microseconds
from learning.sampling import sample

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
MOST = 200


def period(number: int, rows: int, delay: timedelta = timedelta(days=1)) -> Period:
    rng = np.random.default_rng(number)
    start = BEGIN + number * WEEK
    time = microseconds(start) + rng.integers(0, WEEK // timedelta(microseconds=1), rows)
    late = rng.integers(1, delay // timedelta(microseconds=1), rows)
    return Period(start, start + WEEK, time, time + late, rng.normal(size=(rows, 2)), rng.integers(0, 2, rows) * 1.0)


def same(one: LabelledRows, other: LabelledRows) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("event_time", "features", "label"))


@pytest.mark.parametrize("delay", [timedelta(days=1), timedelta(days=30)])
def test_no_fit_misses_a_row_that_was_forgotten(delay: timedelta) -> None:
    every, bounded = History(10**9), History(MOST)
    for number in range(30):
        for history in (every, bounded):
            history.add(period(number, 150, delay))
        now = BEGIN + (number + 1) * WEEK
        bounded.forget(now)
        for horizon in ("all", timedelta(days=7), timedelta(days=30), timedelta(days=90)):
            fits = [sample(history.known(now).within(horizon, now), MOST) for history in (every, bounded)]
            assert same(*fits)


def test_memory_grows_slower_than_the_rows() -> None:
    history = History(MOST)
    for number in range(40):
        history.add(period(number, 1000))
        history.forget(BEGIN + (number + 1) * WEEK)
    assert len(history.known(BEGIN + 41 * WEEK)) < 12 * MOST


def test_news_are_labels_that_have_arrived_in_between() -> None:
    history = History(MOST)
    history.add(period(0, 50))
    assert history.news(BEGIN, BEGIN + WEEK)
    assert not history.news(BEGIN + 2 * WEEK, BEGIN + 9 * WEEK)
