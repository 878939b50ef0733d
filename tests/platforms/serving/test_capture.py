"""What was answered is kept, compacted and merged; damage is set aside and seen."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from platforms.errors import Exhausted
from platforms.local import capture_table
from platforms.local.capture import CaptureWriter, read_segment, segments
from platforms.local.capture_table import compact, merge_day
from platforms.local.feature_table import FeatureTable
from tests.platforms.serving.captured import DIGEST, answer, write


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
