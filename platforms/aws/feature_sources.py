"""Where rows come from on AWS: a table that Athena reads, or Parquet files under a prefix."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.base import Utc
from contracts.snapshot import DataPolicy, Retrieval, Window
from platforms.aws.as_of_sql import as_of_select, first_event_select, moment_of, newest_label_select
from platforms.aws.athena import Athena
from platforms.aws.calls import Aws
from platforms.aws.objects import Objects, content_of, together
from platforms.aws.table_shape import TableShape, no_numbers
from platforms.errors import Corrupt, NotFound
from platforms.tabular import feature_query as query
from platforms.tabular.columns import EVENT_TIME, ID, LABEL_TIME, VERSION
from platforms.tabular.freezing import Fetched

_DAY: Final = re.compile(r"/(?:day|dt|date|ds|event_date)=(\d{4}-\d{2}-\d{2})/|/year=(\d{4})/month=(\d{1,2})/day=(\d{1,2})/")


@dataclass(frozen=True)
class Place:
    """Where a retrieval may leave things: a folder of the bucket, and one on this machine."""

    key: str
    folder: str
    scratch: Path


class Source(Protocol):
    def first_day(self, as_of: Utc) -> date | None:
        """Day of the earliest event; None where there is none."""
        ...

    def newest_label(self) -> Utc | None: ...

    def fetch(self, data: DataPolicy, window: Window, as_of: Utc, place: Place) -> tuple[Fetched, str, Retrieval]:
        """The known rows of the window as files, the query as it was run, and what it took."""
        ...


class AthenaSource:
    """The offline store of a feature group, or a Glue table."""

    def __init__(self, athena: Athena, objects: Objects, shape: TableShape, data: DataPolicy) -> None:
        self._athena = athena
        self._objects = objects
        self._shape = shape
        self._data = data

    def first_day(self, as_of: Utc) -> date | None:
        found = self._moment(first_event_select(self._shape, as_of))
        return found.date() if found else None

    def newest_label(self) -> Utc | None:
        return self._moment(newest_label_select(self._shape, self._data))

    def fetch(self, data: DataPolicy, window: Window, as_of: Utc, place: Place) -> tuple[Fetched, str, Retrieval]:
        select = as_of_select(self._shape, data, window, as_of)
        ended = self._athena.unload(place.key, select, place.folder)
        keys = list(self._objects.keys(ended.folder))
        files = together(
            lambda item: _saved(place.scratch / f"{item[0]:06d}.parquet", self._objects.get(item[1])), enumerate(keys)
        )
        retrieval = Retrieval(
            source=self._shape.source,
            engine="athena",
            query_id=ended.id,
            scanned_bytes=ended.scanned_bytes,
            cost_usd=ended.cost_usd,
        )
        return Fetched(files, unloaded_query(data), no_numbers(self._shape, data)), select, retrieval

    def _moment(self, select: str) -> Utc | None:
        rows = self._athena.rows(select)
        return moment_of(int(rows[0][0])) if rows and rows[0][0] is not None else None


Extent = tuple[datetime | None, datetime | None]
"""First event and newest label of a file."""


@dataclass(frozen=True)
class _File:
    key: str
    bytes: int
    etag: str


class FilesSource:
    """Parquet under a prefix, in the columns of the local platform's tables: id, event_time, label_time, features, and `_version`
    where rows have several. Folders `day=YYYY-MM-DD` or `year=/month=/day=` are days of events; without them every file is read.
    """

    def __init__(self, aws: Aws, uri: str, known: dict[str, Extent]) -> None:
        """`known` is kept by whoever makes one again."""
        self._aws = aws
        self._known = known
        self._uri = uri.rstrip("/") + "/"
        self._bucket, _, self._prefix = self._uri.removeprefix("s3://").partition("/")

    def first_day(self, as_of: Utc) -> date | None:  # noqa: ARG002 - files don't tell when they were written
        found = [event for event, _ in self._extents() if event is not None]
        return min(found).date() if found else None

    def newest_label(self) -> Utc | None:
        return max((label for _, label in self._extents() if label is not None), default=None)

    def _extents(self) -> list[Extent]:
        """First event and newest label of every file; an object with the same ETag isn't read again."""
        there = list(self._listed())
        unread = [each for each in there if each.etag not in self._known]
        read = self._read([each.key for each in unread])
        self._known.update({each.etag: _extent(content, key) for each, (key, content) in zip(unread, read, strict=True)})
        return [self._known[each.etag] for each in there]

    def fetch(self, data: DataPolicy, window: Window, as_of: Utc, place: Place) -> tuple[Fetched, str, Retrieval]:
        there = list(self._listed())
        if not there:
            raise NotFound(f"no Parquet file under {self._uri}: correct data.source, or put rows there")
        first, last = window.start.date(), window.end.date()
        chosen = [each for each in there if (day := _day_of(each.key)) is None or first <= day <= last]
        files = [
            _saved(place.scratch / f"{number:06d}.parquet", content)
            for number, (_, content) in enumerate(self._read([each.key for each in chosen]))
        ]
        text = query.as_of_query(data, window, as_of)
        if files and not _has_version(files):
            rows = f"read_parquet({query.FILES}, union_by_name = true)"
            text = text.replace(rows, f"(SELECT *, 0 AS {VERSION} FROM {rows})")  # noqa: S608 - our own words
        retrieval = Retrieval(source=self._uri, engine="duckdb", scanned_bytes=sum(each.bytes for each in chosen))
        return Fetched(files, text), text.replace(query.FILES, f"'{self._uri}**/*.parquet'"), retrieval

    def _listed(self) -> Iterator[_File]:
        for page in self._aws.pages("s3", "list_objects_v2", Bucket=self._bucket, Prefix=self._prefix):
            for found in page.get("Contents", ()):
                name = str(found["Key"])
                if name.endswith(".parquet") and not name.rpartition("/")[2].startswith((".", "_")):
                    yield _File(name, int(found["Size"]), str(found["ETag"]))

    def _read(self, keys: Sequence[str]) -> list[tuple[str, bytes]]:
        def read(key: str) -> tuple[str, bytes]:
            return key, content_of(self._aws.call("s3", "get_object", Bucket=self._bucket, Key=key), f"s3://{self._bucket}/{key}")

        return together(read, keys)


def unloaded_query(data: DataPolicy) -> str:
    """What Athena unloaded, with its microseconds as moments again."""
    moments = ", ".join(f"make_timestamp({name}) AT TIME ZONE 'UTC' AS {name}" for name in (EVENT_TIME, LABEL_TIME))
    columns = ", ".join(query.quoted(name) for name in (data.label, *data.features))
    return f"SELECT {ID}, {moments}, {columns} FROM read_parquet({query.FILES}, union_by_name = true)"  # noqa: S608 - names are quoted


def _saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _day_of(key: str) -> date | None:
    found = _DAY.search(f"/{key}")
    if found is None:
        return None
    try:
        if found[1]:
            return date.fromisoformat(found[1])
        return datetime(int(found[2]), int(found[3]), int(found[4]), tzinfo=UTC).date()
    except ValueError:
        raise Corrupt(f"{key} is in no day's folder: name it day=YYYY-MM-DD or move it away") from None


def _extent(content: bytes, key: str) -> Extent:
    try:
        table = pq.read_table(pa.BufferReader(content), columns=[EVENT_TIME, LABEL_TIME])
        first, newest = pc.min(table[EVENT_TIME]).as_py(), pc.max(table[LABEL_TIME]).as_py()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise Corrupt(f"{key} can't be read: {str(error).splitlines()[0]}. Restore it or move it away") from None
    return _utc(first), _utc(newest)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment is not None else None


def _has_version(files: Sequence[Path]) -> bool:
    listing = [str(path) for path in files]
    try:
        with duckdb.connect() as database:
            text = "DESCRIBE SELECT * FROM read_parquet($files, union_by_name = true) LIMIT 0"
            return VERSION in {row[0] for row in database.execute(text, {"files": listing}).fetchall()}
    except duckdb.Error:
        return True  # whoever runs the query finds out which file can't be read
