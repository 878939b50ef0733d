"""What was answered is kept, compacted and replayed as it was, with the labels that were known at the time."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from contracts.snapshot import DataPolicy, Window
from platforms.errors import Corrupt, Exhausted, Invalid, NotFound
from platforms.local import capture_table
from platforms.local.capture import CapturedRow, CaptureWriter, read_segment, segments
from platforms.local.capture_table import compact, merge_day
from platforms.local.feature_table import FeatureTable
from platforms.local.traffic import LocalTrafficLog
from platforms.ports import Served

START = datetime(2024, 3, 1, tzinfo=UTC)
WEEK = Window(start=START, end=START + timedelta(days=7))
LATE = START + timedelta(days=30)
DIGEST = "ab" * 32


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def capture(home: Path) -> Path:
    return home / "capture" / "bikes"


@pytest.fixture
def replay(home: Path, data: DataPolicy) -> Any:
    def look(window: Window = WEEK, known_at: datetime = LATE, **changes: Any) -> Served:
        return LocalTrafficLog(home).replay("bikes", data.model_copy(update=changes), window, known_at)

    return look


@pytest.fixture
def table(home: Path) -> FeatureTable:
    found = FeatureTable(home / "features", "rides")
    found.folder.mkdir(parents=True)
    return found


def answer(id: str, hours: float = 0, score: float = 0.7, served: float = 0, **features: float | None) -> CapturedRow:  # noqa: A002
    return CapturedRow(
        id=id,
        event_time=START + timedelta(hours=hours),
        served_at=START + timedelta(seconds=served),
        digest=DIGEST,
        score=score,
        answer=int(score >= 0.5),
        features=features or {"hour": hours % 24, "temperature": 1.0},
    )


def append_labels(table: FeatureTable, *labels: tuple[str, float, float, float]) -> None:
    """Rows of (id, hours of the event, hours of the label's arrival, label)."""
    moments = [START + timedelta(hours=event) for _, event, _, _ in labels]
    arrivals = [START + timedelta(hours=arrival) for _, _, arrival, _ in labels]
    table.append(
        pa.table(
            {
                "id": [label[0] for label in labels],
                "event_time": pa.array(moments, pa.timestamp("us", "UTC")),
                "label_time": pa.array(arrivals, pa.timestamp("us", "UTC")),
                "busy": [label[3] for label in labels],
            }
        )
    )


def write(capture: Path, *rows: CapturedRow) -> None:
    writer = CaptureWriter(capture)
    writer.append(rows)
    writer.close()


def test_answers_are_replayed_in_event_order_whether_compacted_or_not(capture: Path, replay: Any, table: FeatureTable) -> None:
    write(capture, answer("c", 30), answer("a", 2))
    compact(capture)
    writer = CaptureWriter(capture)
    writer.append([answer("b", 5, hour=None, temperature=4.0)])
    served = replay()
    writer.close()
    assert served.ids.tolist() == ["a", "b", "c"]
    assert served.event_time.dtype == np.dtype("datetime64[us]")
    assert served.score.tolist() == [0.7, 0.7, 0.7]
    assert np.array_equal(served.features, [[2.0, 1.0], [np.nan, 4.0], [6.0, 1.0]], equal_nan=True)
    assert set(served.digest.tolist()) == {DIGEST}
    assert np.isnan(served.label).all()


def test_an_open_segment_is_never_compacted_and_a_closed_one_is_gone_afterwards(capture: Path) -> None:
    writer = CaptureWriter(capture)
    writer.append([answer("a")])
    assert compact(capture) == set()
    assert len(segments(capture)) == 1
    writer.close()
    assert compact(capture) == {"2024-03-01"}
    assert segments(capture) == []
    assert compact(capture) == set()


def test_a_segment_of_a_killed_writer_is_compacted_with_everything_it_answered(
    home: Path, capture: Path, replay: Any, table: FeatureTable
) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from platforms.local.capture import CapturedRow, CaptureWriter\n"
        "row = CapturedRow.model_validate_json(sys.argv[2])\n"
        "CaptureWriter(Path(sys.argv[1])).append([row])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code, str(capture), answer("last").model_dump_json()], cwd=root, check=False)
    assert replay().ids.tolist() == ["last"]
    assert compact(capture) == {"2024-03-01"}
    assert replay().ids.tolist() == ["last"]


def test_compaction_that_was_killed_half_way_ends_the_same_when_done_again(
    capture: Path, replay: Any, table: FeatureTable
) -> None:
    write(capture, answer("a", 1), answer("b", 30))
    segment = segments(capture)[0]
    content = segment.read_bytes()
    compact(capture)
    segment.write_bytes(content)
    assert replay().ids.tolist() == ["a", "b"]
    compact(capture)
    assert replay().ids.tolist() == ["a", "b"]
    assert len(list(capture.glob("day=*/*.parquet"))) == 2


def test_a_torn_last_line_was_never_answered_and_is_no_fault(capture: Path, replay: Any, table: FeatureTable) -> None:
    write(capture, answer("a"))
    with segments(capture)[0].open("ab") as file:
        file.write(b'{"id": "torn", "event_ti')
    assert read_segment(segments(capture)[0]).faults == ()
    assert replay().ids.tolist() == ["a"]
    compact(capture)
    assert replay().ids.tolist() == ["a"]
    assert not (capture / "quarantine").exists()


def test_a_damaged_line_is_set_aside_with_its_segment_and_the_rest_is_used(
    capture: Path, replay: Any, table: FeatureTable
) -> None:
    write(capture, answer("a"), answer("b", 1), answer("c", 2))
    segment = segments(capture)[0]
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(lines[0] + b"\x00\x01garbage\n" + lines[2])
    assert replay().ids.tolist() == ["a", "c"]
    compact(capture)
    assert replay().ids.tolist() == ["a", "c"]
    reason = json.loads(next((capture / "quarantine").glob("*.reason.json")).read_text())
    assert "line 2" in reason["reason"]


@pytest.mark.parametrize("damage", [b"", b"PAR1 not a table PAR1", None])
def test_a_corrupt_capture_file_is_set_aside_visibly_and_the_rest_is_used(
    capture: Path, replay: Any, table: FeatureTable, damage: bytes | None
) -> None:
    write(capture, answer("a"))
    compact(capture)
    write(capture, answer("b", 1))
    compact(capture)
    damaged = min(capture.glob("day=*/*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-20] if damage is None else damage)
    assert replay().ids.tolist() == ["b"]
    assert not damaged.exists()
    kept = sorted(path.name for path in (capture / "quarantine").iterdir())
    assert kept == [f"day=2024-03-01-{damaged.name}", f"day=2024-03-01-{damaged.name}.reason.json"]
    assert replay().ids.tolist() == ["b"]


def test_a_file_with_other_columns_is_set_aside(capture: Path, replay: Any, table: FeatureTable) -> None:
    import pyarrow.parquet as pq

    write(capture, answer("a"))
    compact(capture)
    pq.write_table(pa.table({"id": ["x"], "score": ["high"]}), capture / "day=2024-03-01" / "other.parquet")
    assert replay().ids.tolist() == ["a"]
    assert (capture / "quarantine" / "day=2024-03-01-other.parquet").exists()


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


def test_many_small_files_of_a_day_become_one_with_every_row(
    capture: Path, replay: Any, table: FeatureTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_table, "_MERGE_FILES", 4)
    for number in range(5):
        write(capture, answer(f"r{number}", number, **{"hour": 1.0, f"extra{number}": 2.0}))
        compact(capture)
    merge_day(capture, "2024-03-01")
    assert len(list(capture.glob("day=*/*.parquet"))) == 1
    assert replay().ids.tolist() == [f"r{number}" for number in range(5)]
    assert np.array_equal(replay(features=("hour", "extra3")).features[3], [1.0, 2.0])


def test_rows_are_never_missed_while_they_are_compacted_and_merged(
    capture: Path, replay: Any, table: FeatureTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.setattr(capture_table, "_MERGE_FILES", 3)
    done = threading.Event()
    written: list[str] = []

    def work() -> None:
        writer = CaptureWriter(capture, max_rows=3)
        for number in range(60):
            writer.append([answer(f"r{number:03}", number / 10)])
            written.append(f"r{number:03}")
            compact(capture)
            merge_day(capture, "2024-03-01")
        writer.close()
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    looks = 0
    while not done.is_set():
        expected = set(written)
        assert expected <= set(replay().ids.tolist())
        looks += 1
    thread.join()
    assert looks > 0
    assert len(replay()) == 60


def test_segments_rotate_by_rows_and_by_age(capture: Path) -> None:
    by_rows = CaptureWriter(capture, max_rows=2)
    for number in range(5):
        by_rows.append([answer(f"{number}")])
    by_rows.close()
    assert [len(read_segment(path).rows) for path in segments(capture)] == [2, 2, 1]
    by_age = CaptureWriter(capture, max_seconds=0.0)
    by_age.append([answer("x")])
    assert len(segments(capture)) == 4
    with segments(capture)[-1].open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_full_disk_leaves_the_segment_as_it_was_and_says_so(
    capture: Path, replay: Any, table: FeatureTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = CaptureWriter(capture)
    writer.append([answer("a")])
    real = os.write
    calls: list[int] = []

    def full(handle: int, content: Any) -> int:
        """Takes ten bytes, then the disk is full: what a real one does."""
        if calls:
            raise OSError(errno.ENOSPC, "No space left on device")
        calls.append(real(handle, bytes(content)[:10]))
        return calls[0]

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Exhausted, match="Free some space"):
        writer.append([answer("lost", 1)])
    monkeypatch.setattr(os, "write", real)
    writer.append([answer("b", 2)])
    writer.close()
    assert replay().ids.tolist() == ["a", "b"]


def test_days_name_everything_captured(home: Path, capture: Path) -> None:
    write(capture, answer("a"), answer("b", 50))
    compact(capture)
    write(capture, answer("c", 100))
    assert LocalTrafficLog(home).days("bikes") == ["2024-03-01", "2024-03-03", "2024-03-05"]
    assert LocalTrafficLog(home).days("nothing") == []
