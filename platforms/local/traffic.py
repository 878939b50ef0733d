"""Captured requests, for replay and for the monitor: Parquet and the write-ahead segments that aren't compacted yet."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from numpy.typing import NDArray

from contracts.base import Utc
from contracts.snapshot import DataPolicy, Window
from contracts.training import Task
from platforms.errors import Unavailable
from platforms.files import checked_name, platform_errors
from platforms.local.capture import CapturedRow, read_segment, segments
from platforms.local.capture_table import FEATURE, SCHEMA, captured_between, read_file, to_table
from platforms.local.labels import join_labels, last_of_each
from platforms.ports import Served

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
        return Served(
            ids=_text(rows, "id"),
            event_time=rows["event_time"].to_numpy().astype("datetime64[us]"),
            features=_features(rows, data.features),
            label=labels,
            score=_scores(rows, data),
            digest=_text(rows, "digest"),
        )

    def days(self, endpoint: str) -> list[str]:
        """Days, as YYYY-MM-DD, of which anything was captured, in order."""
        capture = self._capture(endpoint)
        waiting = {f"{row.event_time.astimezone(UTC):%Y-%m-%d}" for row in _waiting(capture)}
        return sorted(waiting | {folder.name.removeprefix("day=") for folder in capture.glob("day=*")})

    def _capture(self, endpoint: str) -> Path:
        return self._home / "capture" / checked_name(endpoint, "endpoint")

    def _captured(self, endpoint: str, features: Sequence[str], window: Window, known_at: Utc) -> pa.Table:
        """Segments first, files second: a row that is compacted in between is seen twice, never missed.

        An answer given after `known_at` counts only where there is no earlier one: in a replayed year all are.
        """
        columns = [*SCHEMA.names, *(FEATURE + name for name in features)]
        capture = self._capture(endpoint)
        waiting = [row for row in _waiting(capture) if window.start <= row.event_time < window.end]
        parts = [SCHEMA.empty_table(), *_files(capture, columns, window)]
        parts += [to_table(waiting)] if waiting else []
        rows = captured_between(pa.concat_tables(parts, promote_options="default"), window.start, window.end)
        later = pc.greater(rows["served_at"], pa.scalar(known_at, pa.timestamp("us", tz="UTC")))
        rows = rows.append_column("_later", later).sort_by([("_later", "descending"), ("served_at", "ascending")])
        return (
            rows.take(last_of_each(rows["id"]))
            .drop_columns(["_later"])
            .sort_by([("event_time", "ascending"), ("id", "ascending")])
        )


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


def _text(rows: pa.Table, column: str) -> NDArray[np.str_]:
    return np.asarray(rows[column].to_pylist(), dtype=np.str_)


def _scores(rows: pa.Table, data: DataPolicy) -> NDArray[np.float64]:
    """Shape (n,), or (n, K) for a multiclass task: NaN where the model that answered knew other classes."""
    if data.task is not Task.MULTICLASS:
        return np.asarray(rows["score"].to_numpy(), dtype=np.float64)
    unknown = [np.nan] * len(data.classes)
    found = [row if row is not None and len(row) == len(unknown) else unknown for row in rows["scores"].to_pylist()]
    return np.array(found, dtype=np.float64).reshape(rows.num_rows, len(unknown))


def _features(rows: pa.Table, names: Sequence[str]) -> NDArray[np.float64]:
    """Shape (n, k); NaN where a value is missing or the model of that time didn't ask for the feature."""
    present = set(rows.column_names)
    matrix = np.full((rows.num_rows, len(names)), np.nan)
    for i, name in enumerate(names):
        if FEATURE + name in present:
            matrix[:, i] = rows[FEATURE + name].to_numpy()
    return matrix
