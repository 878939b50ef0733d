"""The embedded feature store: rows are appended as Parquet, windows are asked for as of a moment and frozen.

features/<table>/day=YYYY-MM-DD/*.parquet      rows, see feature_table.py
snapshots/<key>/                               rows.parquet, seal.json, tags.json, snapshot.json
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts.base import Utc
from contracts.snapshot import Coverage, DataPolicy, Snapshot, TakeSnapshot, Window
from contracts.training import DatasetRef
from platforms.errors import Corrupt, Unavailable
from platforms.files import fsync_folder, key_folder, read_json, write_contract
from platforms.local.feature_table import FeatureTable
from platforms.local.staging import staged
from platforms.ports import Labels, Rows
from platforms.tabular import feature_query as query
from platforms.tabular.columns import EVENT_TIME, ID, LABEL_TIME
from platforms.tabular.coverage_query import measure
from platforms.tabular.dataset import ROWS, SEAL, Seal, doubles, matrix, read_dataset
from platforms.tagged import TAGS, Tagged
from policies.coverage import assessed

SNAPSHOT: Final = "snapshot.json"


class LocalFeatureStore:
    """Everything under `home`; one object may be shared by threads, one home by processes."""

    def __init__(self, home: Path) -> None:
        self._features = home.resolve() / "features"
        self._snapshots = home.resolve() / "snapshots"
        self._tables: dict[str, FeatureTable] = {}

    def append(self, table: str, rows: pa.Table) -> int:
        """Add rows or newer versions of rows; see `FeatureTable.append`."""
        return self._table(table).append(rows)

    def snapshot(self, request: TakeSnapshot) -> Snapshot:
        """Freeze the window as it was known at `as_of`; the same key gives the same snapshot.

        Raises:
            NotFound: no such table or column.
            Invalid: a label that the task doesn't have, a name that can't be a feature.
            Corrupt: a partition can't be read.
            Exhausted: memory or disk is used up.
        """
        folder = key_folder(self._snapshots, request.key)
        if folder.exists():
            return read_json(folder / SNAPSHOT, Snapshot)
        with staged(folder) as staging:
            self._build(request, staging, folder)
        return read_json(folder / SNAPSHOT, Snapshot)

    def coverage(self, request: TakeSnapshot) -> Coverage:
        """What a snapshot would say of its window; nothing is kept. Raises: as `snapshot`."""
        table = self._table(request.data.table)
        window, _ = window_of(request, table.days())
        text = query.as_of_query(request.data, window, request.as_of)
        with TemporaryDirectory(prefix="coverage-") as spill:
            files = table.files(window.start, window.end)
            with _known(request, text, files, Path(spill)) as (database, types):
                return _covered(database, request, window, types)

    def rows(self, dataset: DatasetRef, data: DataPolicy, window: Window) -> Rows:
        """The labelled rows with event time in `window`, in event-time order. Raises: NotFound, Corrupt."""
        chosen = _within(read_dataset(dataset, [ID, EVENT_TIME, data.label, *data.features]), window)
        return Rows(
            ids=chosen[ID].to_numpy().astype(str),
            event_time=_moments(chosen[EVENT_TIME]),
            features=matrix(chosen, data.features),
            label=doubles(chosen[data.label]),
        )

    def labels(self, dataset: DatasetRef, data: DataPolicy, window: Window) -> Labels:
        """Labels of the same rows, with their times. Raises: NotFound, Corrupt."""
        chosen = _within(read_dataset(dataset, [ID, EVENT_TIME, LABEL_TIME, data.label]), window)
        return Labels(
            ids=chosen[ID].to_numpy().astype(str),
            event_time=_moments(chosen[EVENT_TIME]),
            known_at=_moments(chosen[LABEL_TIME]),
            label=doubles(chosen[data.label]),
        )

    def watermark(self, data: DataPolicy) -> Utc | None:
        """Data time up to which labels have arrived; None for an empty table. Raises: NotFound, Corrupt."""
        return self._table(data.table).newest_label()

    def _table(self, name: str) -> FeatureTable:
        return self._tables.setdefault(name, FeatureTable(self._features, name))

    def _build(self, request: TakeSnapshot, staging: Path, folder: Path) -> None:
        """All files of the snapshot, `snapshot.json` last."""
        data = request.data
        table = self._table(data.table)
        window, cut = window_of(request, table.days())
        text = query.as_of_query(data, window, request.as_of)
        covered, content, rows = _freeze(request, window, text, table.files(window.start, window.end), staging)
        write_contract(staging / TAGS, Tagged.of(request.tags, "snapshot"))
        snapshot = Snapshot(
            dataset=DatasetRef(uri=str(folder / ROWS), sha256=content, rows=rows),
            query=text.replace(query.FILES, f"'features/{data.table}/day=*/*.parquet'"),
            as_of=request.as_of,
            window=window,
            cut=cut,
            holdout=Window(start=window.end - request.holdout, end=window.end),
            coverage=covered,
            fingerprint=content,
        )
        write_contract(staging / SNAPSHOT, snapshot)


def _within(table: pa.Table, window: Window) -> pa.Table:
    moments = table[EVENT_TIME]
    return table.filter(pc.and_(pc.greater_equal(moments, pa.scalar(window.start)), pc.less(moments, pa.scalar(window.end))))


def _moments(column: pa.ChunkedArray) -> NDArray[np.datetime64]:
    return np.asarray(column.cast(pa.timestamp("us")).to_numpy())


def window_of(request: TakeSnapshot, days: Sequence[date]) -> tuple[Window, Utc]:
    """The window, from the longest horizon before the cut (or the first of `days` for 'all') to its end; and the cut.

    The cut is one label delay before the holdout, so that no training label tells of the holdout's time.
    """
    end = _end(request)
    cut = end - request.holdout - request.data.label_delay
    starts = [cut - horizon for horizon in request.horizons if isinstance(horizon, timedelta)]
    if "all" in request.horizons and days:
        starts.append(datetime.combine(days[0], datetime.min.time(), UTC))
    return Window(start=min(starts, default=cut), end=end), cut


def _end(request: TakeSnapshot) -> Utc:
    return request.as_of if request.until is None else min(request.until, request.as_of)


def _freeze(request: TakeSnapshot, window: Window, text: str, files: Sequence[Path], staging: Path) -> tuple[Coverage, str, int]:
    """Write the labelled rows and their seal; returns coverage, content hash and number of rows."""
    spill = staging / "spill"
    with _known(request, text, files, spill) as (database, types):
        covered = _covered(database, request, window, types)
        query.write_labelled(database, request.data, staging / ROWS)
        content, rows = query.content_hash(database, request.data)
    shutil.rmtree(spill, ignore_errors=True)
    fsync_folder(staging / ROWS)
    write_contract(staging / SEAL, Seal(content=content, file=sha256((staging / ROWS).read_bytes()).hexdigest()))
    return covered, content, rows


@contextmanager
def _known(
    request: TakeSnapshot, text: str, files: Sequence[Path], spill: Path
) -> Iterator[tuple[duckdb.DuckDBPyConnection, dict[str, str]]]:
    """A database with the table `known`, and the features that hold no numbers, by type."""
    data, types = request.data, dict[str, str]()
    with _named_culprit(files, data.table), query.connection(spill) as database:
        if files:
            types = query.check_columns(database, files, data)
            query.freeze(database, text, files, data)
        else:
            query.freeze_nothing(database, data)
        yield database, types


def _covered(database: duckdb.DuckDBPyConnection, request: TakeSnapshot, window: Window, types: Mapping[str, str]) -> Coverage:
    """Coverage of the shipped recipe's shortest window, held against the policy."""
    shortest = min((horizon for horizon in request.horizons if isinstance(horizon, timedelta)), default=None)
    start = window.start if shortest is None else window.end - shortest
    counted = Window(start=start, end=window.end)
    counts = query.coverage(database, request.data, counted, request.as_of)
    codes = [name for name in request.categorical if name in request.data.features]
    facts = measure(database, request.data, counted=counted, as_of=request.as_of, categorical=codes, types=types)
    return assessed(coverage=counts, facts=facts, data=request.data, as_of=request.as_of)


@contextmanager
def _named_culprit(files: Sequence[Path], table: str) -> Iterator[None]:
    """DuckDB doesn't always say which file it could not read: look for it.

    Raises:
        Corrupt: a file of the table can't be read, named.
        Unavailable: every file can be read, so it is something else.
    """
    try:
        yield
    except duckdb.Error as error:
        for path in files:
            _check_readable(path)
        raise Unavailable(f"the query on table {table!r} failed: {str(error).splitlines()[0]}") from error


def _check_readable(path: Path) -> None:
    try:
        pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        why = str(error).splitlines()[0]
        raise Corrupt(f"{path} can't be read: {why}. Restore it, or move it away and append its rows again") from None
