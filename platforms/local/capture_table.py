"""Captured answers as Parquet: one row per answer, one column `feature_<name>` per feature, one folder per day of the event."""

from collections.abc import Sequence
from datetime import UTC
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from platforms.files import write_atomic
from platforms.local.capture import CapturedRow, closed, read_segment, segments, set_aside
from platforms.tabular.captured import FEATURE, SCHEMA, to_table

_LATER = {"scores"}
"""Columns that files of an earlier release don't have."""
_MERGE_FILES = 16
_MERGED_ROWS = 200_000


def day_folder(capture: Path, day: str) -> Path:
    return capture / f"day={day}"


def compact(capture: Path) -> set[str]:
    """Turn every closed segment into Parquet and remove it; returns the days that got new rows.

    Killed anywhere and done again it ends the same: a segment's files are named after it, and it goes last.
    Only the supervisor calls it, so no two run at a time. Raises: Exhausted; the segment then stays.
    """
    days: set[str] = set()
    for path in segments(capture):
        with closed(path) as free:
            days |= _compact_segment(capture, path) if free else set()
    return days


def _compact_segment(capture: Path, path: Path) -> set[str]:
    segment = read_segment(path)
    by_day = _by_day(segment.rows)
    for day, rows in by_day.items():
        _write(day_folder(capture, day) / f"{path.stem}.parquet", to_table(rows))
    if segment.faults:
        set_aside(capture, path, "; ".join(segment.faults[:5]))
    else:
        path.unlink()
    return set(by_day)


def merge_day(capture: Path, day: str) -> None:
    """Merge the small files of a day, so that a day stays a handful of files however long it is served."""
    folder = day_folder(capture, day)
    small = [path for path in sorted(folder.glob("[!.]*.parquet")) if _rows(path) < _MERGED_ROWS]
    if len(small) >= _MERGE_FILES:
        _merge(capture, folder, small)


def _merge(capture: Path, folder: Path, paths: Sequence[Path]) -> None:
    """Until the originals are gone both are there: readers keep one row per request id."""
    found = [(path, read_file(capture, path)) for path in paths]
    whole = [(path, table) for path, table in found if table is not None]
    if not whole:
        return
    name = sha256("".join(path.name for path, _ in whole).encode()).hexdigest()[:16]
    _write(folder / f"merged-{name}.parquet", pa.concat_tables([table for _, table in whole], promote_options="default"))
    for path, _ in whole:
        path.unlink(missing_ok=True)


def read_file(capture: Path, path: Path, columns: Sequence[str] | None = None) -> pa.Table | None:
    """One Parquet file, or None if it can't be read: it is then set aside. Raises: FileNotFoundError (it was merged)."""
    try:
        with pq.ParquetFile(path) as file:
            found = file.schema_arrow
            wanted = None if columns is None else [name for name in columns if name in found.names]
            table = _widened(file.read(columns=wanted, use_threads=False))
            found = _widened(found.empty_table()).schema
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        set_aside(capture, path, str(error)[:300])
        return None
    wrong = [name for name in found.names if name.startswith(FEATURE) and found.field(name).type != pa.float64()]
    wrong += [field.name for field in SCHEMA if not _there(found, field)]
    if wrong:
        set_aside(capture, path, f"columns {wrong[:10]} are missing or of another type")
        return None
    return table


def _widened(table: pa.Table) -> pa.Table:
    """A file of an earlier release keeps its answers, 0 or 1, in a byte."""
    place = table.schema.get_field_index("answer")
    if place < 0 or table.schema.field(place).type != pa.int8():
        return table
    return table.set_column(place, "answer", table["answer"].cast(pa.int16()))


def _there(found: pa.Schema, field: pa.Field) -> bool:
    """Whether the file has the column, of the right type."""
    if field.name not in found.names:
        return field.name in _LATER
    return bool(found.field(field.name).type == field.type)


def _rows(path: Path) -> int:
    """Rows that the file says it holds; 0 where that can't be read, which a merge then finds out."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return 0


def _write(path: Path, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_atomic(path, sink.getvalue().to_pybytes())


def _by_day(rows: Sequence[CapturedRow]) -> dict[str, list[CapturedRow]]:
    days: dict[str, list[CapturedRow]] = {}
    for row in rows:
        days.setdefault(f"{row.event_time.astimezone(UTC):%Y-%m-%d}", []).append(row)
    return days
