"""Captured requests are replayed as they were answered, with the labels that were known at the time."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from platforms.errors import Corrupt, Invalid, NotFound
from platforms.local.capture_table import compact
from platforms.local.feature_table import FeatureTable
from platforms.local.traffic import LocalTrafficLog
from tests.platforms.serving.captured import START, answer, append_labels, write


def test_of_two_answers_to_one_request_the_last_one_counts(capture: Path, replay: Any, table: FeatureTable) -> None:
    write(capture, answer("a", 1, score=0.9, served=10), answer("b", 2, score=0.2, served=1))
    compact(capture)
    write(capture, answer("a", 1, score=0.1, served=20), answer("b", 2, score=0.8, served=0))
    served = replay()
    assert dict(zip(served.ids.tolist(), served.score.tolist(), strict=True)) == {"a": 0.1, "b": 0.2}


def test_labels_that_arrive_later_are_not_seen_before_they_are_known(capture: Path, replay: Any, table: FeatureTable) -> None:
    write(capture, answer("a", 1), answer("b", 2), answer("c", 3))
    append_labels(table, ("a", 1, 2, 1.0), ("b", 2, 50, 0.0))
    assert replay(known_at=START + timedelta(hours=1)).label.tolist() == pytest.approx([np.nan] * 3, nan_ok=True)
    assert replay(known_at=START + timedelta(hours=2)).label.tolist() == pytest.approx([1.0, np.nan, np.nan], nan_ok=True)
    assert replay(known_at=START + timedelta(hours=50)).label.tolist() == pytest.approx([1.0, 0.0, np.nan], nan_ok=True)


def test_a_corrected_label_counts_only_once_it_was_known(capture: Path, replay: Any, table: FeatureTable) -> None:
    write(capture, answer("a", 1))
    append_labels(table, ("a", 1, 2, 1.0))
    append_labels(table, ("a", 1, 60, 0.0))
    assert replay(known_at=START + timedelta(hours=59)).label.tolist() == [1.0]
    assert replay(known_at=START + timedelta(hours=60)).label.tolist() == [0.0]


def test_only_the_window_is_replayed_and_its_end_is_not_part_of_it(capture: Path, replay: Any, table: FeatureTable) -> None:
    write(capture, answer("before", -0.001), answer("first", 0), answer("last", 167.999), answer("after", 168))
    compact(capture)
    assert replay().ids.tolist() == ["first", "last"]


def test_other_days_are_not_even_read(capture: Path, replay: Any, table: FeatureTable) -> None:
    write(capture, answer("a"))
    compact(capture)
    other = capture / "day=2023-01-01" / "x.parquet"
    other.parent.mkdir()
    other.write_bytes(b"not parquet")
    assert replay().ids.tolist() == ["a"]
    assert other.exists()


def test_nothing_captured_is_an_empty_replay(replay: Any, table: FeatureTable) -> None:
    served = replay()
    assert len(served) == 0
    assert served.features.shape == (0, 2)


def test_a_feature_that_the_model_did_not_ask_for_is_missing_in_the_replay(
    capture: Path, replay: Any, table: FeatureTable
) -> None:
    write(capture, answer("a", 1, hour=3.0))
    compact(capture)
    assert np.array_equal(replay().features, [[3.0, np.nan]], equal_nan=True)


def test_a_table_or_label_that_is_not_there_is_named(capture: Path, replay: Any, home: Path, table: FeatureTable) -> None:
    write(capture, answer("a", 1))
    append_labels(table, ("a", 1, 2, 1.0))
    with pytest.raises(NotFound, match="nothing"):
        replay(table="nothing")
    with pytest.raises(Invalid, match="no column 'crowded'"):
        replay(label="crowded")


def test_a_partition_of_labels_that_can_not_be_read_is_corrupt(capture: Path, replay: Any, table: FeatureTable) -> None:
    write(capture, answer("a", 1))
    append_labels(table, ("a", 1, 2, 1.0))
    next(table.folder.glob("day=*/*.parquet")).write_bytes(b"broken")
    with pytest.raises(Corrupt, match="Restore it or move it away"):
        replay()


def test_days_name_everything_captured(home: Path, capture: Path) -> None:
    write(capture, answer("a"), answer("b", 50))
    compact(capture)
    write(capture, answer("c", 100))
    assert LocalTrafficLog(home).days("bikes") == ["2024-03-01", "2024-03-03", "2024-03-05"]
    assert LocalTrafficLog(home).days("nothing") == []
