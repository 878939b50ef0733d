"""Labelled rows: windows, and the sample of too many."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.rows import LabelledRows, microseconds
from learning.sampling import sample

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hours(count: int, seed: int = 0) -> LabelledRows:
    times = np.array([microseconds(NOON + i * HOUR) for i in range(count)], dtype=np.int64)
    features = np.random.default_rng(seed).normal(size=(count, 2))
    return LabelledRows(times, features, np.arange(count, dtype=np.float64))


def test_a_window_is_half_open_and_all_has_no_beginning() -> None:
    end = NOON + 5 * HOUR
    assert hours(9).within(2 * HOUR, end).label.tolist() == [3, 4]
    assert hours(9).within("all", end).label.tolist() == [0, 1, 2, 3, 4]
    assert len(hours(9).within(HOUR, NOON)) == 0


def test_a_horizon_is_counted_from_the_newest_label_when_that_is_older_than_a_day() -> None:
    """Labels come three weeks late, or the feed has a hole: the last hours of labels are still there to learn from."""
    end = NOON + timedelta(days=21)
    assert hours(48).within(timedelta(days=2), end).label.tolist() == list(range(23, 48))
    assert len(hours(48).within(timedelta(days=2), NOON + 48 * HOUR)) == 48


def test_a_window_longer_than_time_itself_is_everything() -> None:
    assert len(hours(9).within(timedelta(days=900_000), NOON + 9 * HOUR)) == 9


def test_times_labels_and_features_have_one_length() -> None:
    with pytest.raises(ValueError, match="3 times, 2 labels"):
        LabelledRows(np.arange(3), np.zeros((3, 1)), np.zeros(2))


@given(st.integers(1, 60), st.integers(0, 40), st.integers(1, 50))
def test_a_sample_grows_with_its_table_and_never_brings_back_what_it_dropped(known: int, new: int, most: int) -> None:
    before = set(sample(hours(known + new).chosen(np.arange(known)), most).label)
    after = set(sample(hours(known + new), most).label)
    assert len(after) == min(most, known + new)
    assert {label for label in after if label < known} <= before


def test_a_sample_does_not_depend_on_the_order_of_the_rows() -> None:
    rows, order = hours(50), np.random.default_rng(1).permutation(50)
    assert set(sample(rows.chosen(order), 20).label) == set(sample(rows, 20).label)
