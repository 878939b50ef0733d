"""What the demo reads of the monitor's record."""

from datetime import timedelta
from pathlib import Path

from demo_stories import START

from contracts.monitor import QualityReport
from contracts.snapshot import Window
from demo.watch import Periods


def line(week: int) -> str:
    window = Window(start=START + timedelta(weeks=week), end=START + timedelta(weeks=week + 1))
    report = QualityReport(endpoint="bikes", window=window, requests=1, labelled=1, digests=())
    return report.model_dump_json()


def test_a_half_written_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    periods = Periods(tmp_path, "bikes")
    assert periods.look() == []
    file = tmp_path / "monitor" / "bikes" / "periods.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text(line(0) + "\n" + line(1)[:20])
    assert len(periods.look()) == 1
    file.write_text(line(0) + "\n" + line(1) + "\n")
    assert [report.window.start for report in periods.look()] == [START + timedelta(weeks=1)]
    assert periods.newest_end == START + timedelta(weeks=2)
