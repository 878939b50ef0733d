"""The log of what could not be taken: whole lines, bounded, and never a reason to fall over."""

import json
from pathlib import Path

import pytest
import structlog

from bridge import rejected
from bridge.rejected import RejectedLog, Rejection

ONE = Rejection(reason="endpoint: is missing", head='{"id": "\\ud800"}', sender="127.0.0.1", content_type="application/json")


def lines(log: RejectedLog) -> list[dict[str, str]]:
    return [json.loads(line) for line in log.path.read_text().splitlines() if line.startswith("{")]


async def test_each_rejection_is_one_line_with_its_time(tmp_path: Path) -> None:
    log = RejectedLog(tmp_path)
    await log.append([ONE, ONE])
    await log.append([])
    assert [line["reason"] for line in lines(log)] == [ONE.reason] * 2
    assert lines(log)[0]["at"].endswith("+00:00")
    assert log.path.stat().st_mode & 0o077 == 0, "bodies may hold what is not for everybody"


async def test_a_line_that_a_crash_tore_spoils_no_other(tmp_path: Path) -> None:
    log = RejectedLog(tmp_path)
    log.path.parent.mkdir()
    log.path.write_text('torn {"at": ')
    await log.append([ONE])
    assert len(lines(log)) == 1


async def test_the_log_is_bounded_and_keeps_one_former_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejected, "MAX_FILE_BYTES", 500)
    log = RejectedLog(tmp_path)
    for _ in range(9):
        await log.append([ONE])
    kept = sorted(path.name for path in log.path.parent.iterdir())
    assert kept == ["rejected.1.jsonl", "rejected.jsonl"]
    assert all(path.stat().st_size <= 500 for path in log.path.parent.iterdir())


async def test_a_disk_that_takes_nothing_leaves_the_rejection_in_the_process_log(tmp_path: Path) -> None:
    (tmp_path / "bridge").write_text("a file where the folder should be")
    with structlog.testing.capture_logs() as events:
        await RejectedLog(tmp_path).append([ONE])
    failed = next(event for event in events if event["event"] == "rejected_log_failed")
    assert "endpoint: is missing" in failed["lost"]
