"""Captured requests, for replay and for the monitor: Parquet and the write-ahead segments that aren't compacted yet."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import structlog

from contracts.base import Utc
from contracts.snapshot import DataPolicy, Window
from platforms.errors import Unavailable
from platforms.files import checked_name, platform_errors
from platforms.local.capture import read_segment, segments
from platforms.local.capture_table import read_file
from platforms.local.labels import join_labels
from platforms.ports import Served
from platforms.tabular.captured import FEATURE, SCHEMA, CapturedRow, answered, served, to_table

_ATTEMPTS = 5
_log = structlog.get_logger()


class LocalTrafficLog:
    """The `TrafficLog` port over `capture/<endpoint>`."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def replay(self, endpoint: str, data: DataPolicy, window: Window, known_at: Utc) -> Served:
        """Requests with event time in `window`, in its order, each id as it was answered last, with labels known at `known_at`.

        Raises: NotFound (no such table), Invalid (no such label column), Corrupt (a partition of labels), Unavailable.
        """
        rows = self._captured(endpoint, data.features, window, known_at)
        labels = join_labels(rows["id"], home=self._home, data=data, window=window, known_at=known_at)
        return served(rows, data, labels)

    def days(self, endpoint: str) -> list[str]:
        """Days, as YYYY-MM-DD, of which anything was captured, in order."""
        capture = self._capture(endpoint)
        waiting = {f"{row.event_time.astimezone(UTC):%Y-%m-%d}" for row in _waiting(capture)}
        return sorted(waiting | {folder.name.removeprefix("day=") for folder in capture.glob("day=*")})

    def _capture(self, endpoint: str) -> Path:
        return self._home / "capture" / checked_name(endpoint, "endpoint")

    def _captured(self, endpoint: str, features: Sequence[str], window: Window, known_at: Utc) -> pa.Table:
        """Segments first, files second: a row that is compacted in between is seen twice, never missed."""
        columns = [*SCHEMA.names, *(FEATURE + name for name in features)]
        capture = self._capture(endpoint)
        waiting = [row for row in _waiting(capture) if window.start <= row.event_time < window.end]
        parts = _files(capture, columns, window)
        return answered([*parts, to_table(waiting)] if waiting else parts, window, known_at)


def _waiting(capture: Path) -> Iterator[CapturedRow]:
    """Rows of the segments that aren't compacted. A line that can't be read is reported here and set aside at compaction."""
    for path in segments(capture):
        with platform_errors(path):
            try:
                segment = read_segment(path)
            except FileNotFoundError:
                continue
        if segment.faults:
            _log.error("capture_lines_unreadable", endpoint=capture.name, file=str(path), lines=segment.faults[:5])
        yield from segment.rows


def _files(capture: Path, columns: Sequence[str], window: Window) -> list[pa.Table]:
    """The files of the window's days. When one is merged away meanwhile, all are listed again. Raises: Unavailable."""
    for _ in range(_ATTEMPTS):
        try:
            found = [read_file(capture, path, columns) for path in _paths(capture, window)]
        except FileNotFoundError:
            continue
        return [table for table in found if table is not None]
    raise Unavailable(f"the files under {capture} keep changing while they are read: try again")


def _paths(capture: Path, window: Window) -> list[Path]:
    first, last = _day(window.start), _day(window.end)
    folders = [folder for folder in capture.glob("day=*") if first <= folder.name <= last]
    return [path for folder in sorted(folders) for path in sorted(folder.glob("[!.]*.parquet"))]


def _day(moment: datetime) -> str:
    return f"day={moment.astimezone(UTC):%Y-%m-%d}"
