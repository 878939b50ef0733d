"""What the monitor has judged: `monitor/<endpoint>/periods.jsonl`, one line per period, and `state.json`."""

import os
from pathlib import Path

from pydantic import ValidationError

from contracts.base import Contract, EndpointName, Utc
from contracts.monitor import QualityReport
from platforms.errors import Corrupt
from platforms.files import make_folder, platform_errors
from platforms.local.serving_state import read_or_none, write_volatile


class MonitorState(Contract):
    """How far an endpoint was judged."""

    endpoint: EndpointName
    origin: Utc
    """Start of the first period; all others are counted from it."""
    judged_until: Utc
    """End of the last period that was judged; the origin before the first one."""
    pid: int
    """Process that judged."""


class QualityLog:
    """One endpoint's judged periods. Only the holder of `lock` writes."""

    def __init__(self, home: Path, endpoint: str) -> None:
        self.endpoint = endpoint
        self.folder = home / "monitor" / endpoint
        self.lock = self.folder / ".lock"
        self._periods = self.folder / "periods.jsonl"
        self._state = self.folder / "state.json"

    def reports(self) -> list[QualityReport]:
        """Every judged period, the oldest first; a last line that a crash tore was never recorded."""
        try:
            lines = self._periods.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        return [report for line in lines if (report := _parsed(line)) is not None]

    def record(self, report: QualityReport) -> None:
        """Add a line, durably; a torn line before it is cut off. Raises: Exhausted, Unavailable, Invalid."""
        make_folder(self.folder)
        with platform_errors(self._periods), self._periods.open("a+b") as file:
            file.seek(0)
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)
            file.write(report.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def state(self) -> MonitorState | None:
        """Raises: Corrupt."""
        return read_or_none(self._state, MonitorState)

    def tell(self, state: MonitorState) -> None:
        """Write how far things are, if it is news; a lost file is made again from the reports."""
        try:
            known = self.state()
        except Corrupt:
            known = None
        if known is None or (known.origin, known.judged_until) != (state.origin, state.judged_until):
            make_folder(self.folder)
            write_volatile(self._state, state)


def _parsed(line: bytes) -> QualityReport | None:
    try:
        return QualityReport.model_validate_json(line)
    except ValidationError:
        return None
