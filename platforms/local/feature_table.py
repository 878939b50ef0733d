"""The append-only rows of one table: `features/<table>/day=YYYY-MM-DD/<version>.parquet`.

Every append has a version, larger than all before it; of two versions of a row the query takes the newer one.
A file is written once and never changed.
"""

import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from platforms.errors import Corrupt, Invalid, NotFound
from platforms.files import TEMPORARY, fsync_folder, locked, make_folder, platform_errors, read_bytes, write_atomic
from platforms.tabular.columns import EVENT_TIME, ID, LABEL_TIME, TIMESTAMP, VERSION

_TABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_SETTLED_NS = 1_000_000_000
"""A folder's time stamp can stand still for some milliseconds of changes; from this age on it tells them apart."""
_SYNC_ALL = 16
"""From this many files on, one sync of the file system is cheaper than one for each file."""


class FeatureTable:
    """One table's files."""

    def __init__(self, root: Path, name: str) -> None:
        if not _TABLE.fullmatch(name):
            raise Invalid(f"table {name[:80]!r} is not allowed: use up to 128 letters, digits, '_', '.', '-'")
        self.name = name
        self.root = root
        self.folder = root / name
        self._newest_label: dict[Path, datetime | None] = {}
        self._listed: dict[Path, tuple[int, list[Path]]] = {}

    def append(self, rows: pa.Table) -> int:
        """Add rows, one file a day, each file whole or not at all; returns how many.

        `id`, `event_time` and, where labels have arrived, `label_time` are required; every other column becomes a double.
        Appending the same rows again changes no answer.

        Raises:
            Invalid: a required column is missing or holds nulls, an id stands there twice, a column holds text.
            Exhausted: the disk is full.
        """
        checked = normalised(rows)
        if checked.num_rows == 0:
            return 0
        make_folder(self.folder)
        with locked(self.folder / ".lock", timeout=300):
            version = self._next_version()
            stamped = checked.append_column(VERSION, pa.array([version] * checked.num_rows, pa.int64()))
            self._write(version, dict(_by_day(stamped)))
        return int(checked.num_rows)

    def days(self) -> list[date]:
        """Days that have a partition, in order. Raises: NotFound (no such table, naming those there are)."""
        if not self.folder.is_dir():
            raise NotFound(f"no table {self.name!r} in the feature store; there are: {', '.join(_tables(self.root)) or 'none'}")
        with platform_errors(self.folder):
            names = sorted(entry.name for entry in os.scandir(self.folder) if entry.name.startswith("day="))
        return [self._day(name) for name in names]

    def files(self, start: datetime, end: datetime) -> list[Path]:
        """Files of the days that [start, end) touches, in order."""
        days = [day for day in self.days() if start.date() <= day <= end.date()]
        return [path for day in days for path in self._day_files(self.folder / f"day={day}")]

    def _day_files(self, folder: Path) -> list[Path]:
        """A day's files in order; a folder that nobody has touched for a while isn't read again."""
        with platform_errors(folder):
            touched = folder.stat().st_mtime_ns
            known = self._listed.get(folder)
            if known is not None and known[0] == touched:
                return known[1]
            found = sorted(e.name for e in os.scandir(folder) if e.name.endswith(".parquet") and not e.name.startswith("."))
        files = [folder / name for name in found]
        if time.time_ns() - touched > _SETTLED_NS:
            self._listed[folder] = (touched, files)
        return files

    def newest_label(self) -> datetime | None:
        """The latest label time of any row, or None; files never change, so each one's footer is read once.

        Raises: NotFound, Corrupt.
        """
        everything = self.files(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
        self._newest_label = {
            path: self._newest_label[path] if path in self._newest_label else _newest_label(path) for path in everything
        }
        return max((found for found in self._newest_label.values() if found is not None), default=None)

    def _day(self, name: str) -> date:
        try:
            return date.fromisoformat(name.removeprefix("day="))
        except ValueError:
            raise Corrupt(f"{self.folder / name} is not a day partition: name it day=YYYY-MM-DD or move it away") from None

    def _next_version(self) -> int:
        path = self.folder / "version"
        try:
            version = int(read_bytes(path)) + 1
        except NotFound:
            version = 1
        except ValueError:
            raise Corrupt(f"{path} holds no number: write the largest file name's number into it") from None
        write_atomic(path, f"{version}\n".encode())
        return version

    def _write(self, version: int, parts: Mapping[date, pa.Table]) -> None:
        """Write all files under temporary names, make them durable, then give them their names."""
        finals = {day: self.folder / f"day={day}" / f"{version:012d}.parquet" for day in parts}
        written: list[tuple[Path, Path]] = []
        with platform_errors(self.folder):
            try:
                for day, part in parts.items():
                    final = finals[day]
                    final.parent.mkdir(exist_ok=True)
                    written.append((final.parent / f"{TEMPORARY}{final.name}", final))
                    pq.write_table(part, written[-1][0], compression="zstd")
                _make_durable([temporary for temporary, _ in written])
                for temporary, final in written:
                    temporary.replace(final)
                _make_durable([self.folder, *(final.parent for _, final in written)])
            finally:
                for temporary, _ in written:
                    temporary.unlink(missing_ok=True)


def normalised(rows: pa.Table) -> pa.Table:
    """The rows in the store's types: text id, UTC microseconds, doubles. Raises: Invalid."""
    _check_names(rows.column_names)
    columns = {
        ID: _cast(rows, ID, pa.string()),
        EVENT_TIME: _cast(rows, EVENT_TIME, TIMESTAMP),
        LABEL_TIME: _cast(rows, LABEL_TIME, TIMESTAMP) if LABEL_TIME in rows.column_names else pa.nulls(rows.num_rows, TIMESTAMP),
    }
    for required in (ID, EVENT_TIME):
        if nulls := columns[required].null_count:
            raise Invalid(f"{nulls} of {rows.num_rows} rows have no {required}: fill or drop them")
    _check_unique(columns[ID])
    columns |= {name: _cast(rows, name, pa.float64()) for name in rows.column_names if name not in columns}
    return pa.table(columns)


def _check_names(names: list[str]) -> None:
    if missing := [name for name in (ID, EVENT_TIME) if name not in names]:
        raise Invalid(f"rows need the columns {ID} and {EVENT_TIME}; {', '.join(missing)} missing, found {', '.join(names)}")
    if VERSION in map(str.lower, names):
        raise Invalid(f"the column name {VERSION} is the store's own: rename the column")
    if twice := [name for name, n in Counter(name.lower() for name in names).items() if n > 1]:
        raise Invalid(f"column names must differ by more than case: {', '.join(twice)} stands there twice")


def _check_unique(ids: pa.ChunkedArray) -> None:
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    twice, n = next((name, n) for name, n in Counter(ids.to_pylist()).items() if n > 1)
    raise Invalid(f"id {twice!r} stands there {n} times: one append holds each id once; append corrections afterwards")


def _cast(rows: pa.Table, name: str, wanted: pa.DataType) -> pa.ChunkedArray:
    column = rows[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        return pc.cast(column, options=pc.CastOptions(wanted, allow_time_truncate=True, allow_int_overflow=False))
    except pa.ArrowException as error:
        first = str(error).splitlines()[0]
        raise Invalid(f"column {name!r} is {column.type} and can't be stored as {wanted}: {first}") from None


def _by_day(rows: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    ordered = rows.sort_by([(EVENT_TIME, "ascending"), (ID, "ascending")])
    days = pc.run_end_encode(ordered[EVENT_TIME].combine_chunks().cast(pa.date32()))
    start = 0
    for end, day in zip(days.run_ends.to_pylist(), days.values.to_pylist(), strict=True):
        yield day, ordered.slice(start, end - start)
        start = end


def _make_durable(paths: list[Path]) -> None:
    if len(paths) > _SYNC_ALL:
        os.sync()
        return
    for path in paths:
        fsync_folder(path)


def _tables(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _newest_label(path: Path) -> datetime | None:
    """The file's latest label time, from its footer. Raises: Corrupt."""
    try:
        with pq.ParquetFile(path) as file:
            index = file.schema_arrow.names.index(LABEL_TIME)
            groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
            found = [group.column(index).statistics.max for group in groups if group.column(index).statistics.has_min_max]
    except (pa.ArrowException, OSError, ValueError, AttributeError) as error:
        raise Corrupt(f"{path} can't be read: {str(error).splitlines()[0]}. Restore it or move it away") from None
    return max((moment.astimezone(UTC) for moment in found), default=None)
