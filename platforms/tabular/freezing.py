"""From fetched rows to a frozen dataset: the window, its coverage, its content hash. The same on every platform."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts.base import Utc
from contracts.snapshot import Coverage, DataPolicy, Retrieval, Snapshot, TakeSnapshot, Window
from contracts.training import DatasetRef
from platforms.errors import Corrupt, Unavailable
from platforms.tables import Labels, Rows
from platforms.tabular import feature_query as query
from platforms.tabular.columns import EVENT_TIME, ID, LABEL_TIME
from platforms.tabular.coverage_query import measure
from platforms.tabular.dataset import ROWS, Seal, doubles, matrix
from policies.coverage import assessed


@dataclass(frozen=True)
class Fetched:
    """Files, and the query that makes the known rows of them; `types` where it isn't the files that tell them."""

    files: Sequence[Path]
    text: str
    types: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Frozen:
    """What was written: the labelled rows with their seal."""

    coverage: Coverage
    seal: Seal
    rows: int


def window_of(request: TakeSnapshot, first_day: date | None) -> tuple[Window, Utc]:
    """The window, from the longest horizon before the cut (or the first day of all rows for 'all') to its end; and the cut.

    The cut is one label delay before the holdout, so that no training label tells of the holdout's time.
    """
    end = request.as_of if request.until is None else min(request.until, request.as_of)
    cut = end - request.holdout - request.data.label_delay
    starts = [cut - horizon for horizon in request.horizons if isinstance(horizon, timedelta)]
    if "all" in request.horizons and first_day is not None:
        starts.append(datetime.combine(first_day, datetime.min.time(), end.tzinfo))
    return Window(start=min(starts, default=cut), end=end), cut


def freeze(request: TakeSnapshot, window: Window, fetched: Fetched, folder: Path, spill: Path) -> Frozen:
    """Write the labelled rows into `folder`; `spill` is for what doesn't fit into memory.

    Raises: NotFound, Invalid, Corrupt, Exhausted, Unavailable.
    """
    with known(request, fetched, spill) as (database, types):
        found = covered(database, request, window, types)
        query.write_labelled(database, request.data, folder / ROWS)
        content, rows = query.content_hash(database, request.data)
    return Frozen(found, Seal(content=content, file=sha256((folder / ROWS).read_bytes()).hexdigest()), rows)


def look(request: TakeSnapshot, window: Window, fetched: Fetched, spill: Path) -> Coverage:
    """The coverage alone. Raises: as `freeze`."""
    with known(request, fetched, spill) as (database, types):
        return covered(database, request, window, types)


def snapshot_of(
    request: TakeSnapshot, window: Window, cut: Utc, frozen: Frozen, *, uri: str, text: str, retrieval: Retrieval | None = None
) -> Snapshot:
    return Snapshot(
        dataset=DatasetRef(uri=uri, sha256=frozen.seal.content, rows=frozen.rows),
        query=text,
        as_of=request.as_of,
        window=window,
        cut=cut,
        holdout=Window(start=window.end - request.holdout, end=window.end),
        coverage=frozen.coverage,
        fingerprint=frozen.seal.content,
        retrieval=retrieval,
    )


@contextmanager
def known(request: TakeSnapshot, fetched: Fetched, spill: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, Mapping[str, str]]]:
    """A database with the table `known`, and the features that hold no numbers, by type."""
    data = request.data
    types: Mapping[str, str] = fetched.types or {}
    with _named_culprit(fetched.files, data.table), query.connection(spill) as database:
        if fetched.files:
            if fetched.types is None:
                types = query.check_columns(database, fetched.files, data)
            query.freeze(database, fetched.text, fetched.files, data)
        else:
            query.freeze_nothing(database, data)
        yield database, types


def covered(database: duckdb.DuckDBPyConnection, request: TakeSnapshot, window: Window, types: Mapping[str, str]) -> Coverage:
    """Coverage of the shipped recipe's shortest window, held against the policy."""
    shortest = min((horizon for horizon in request.horizons if isinstance(horizon, timedelta)), default=None)
    start = window.start if shortest is None else window.end - shortest
    counted = Window(start=start, end=window.end)
    counts = query.coverage(database, request.data, counted, request.as_of)
    codes = [name for name in request.categorical if name in request.data.features]
    facts = measure(database, request.data, counted=counted, as_of=request.as_of, categorical=codes, types=types)
    return assessed(coverage=counts, facts=facts, data=request.data, as_of=request.as_of)


def row_columns(data: DataPolicy) -> list[str]:
    """What `rows_of` reads of a dataset."""
    return [ID, EVENT_TIME, data.label, *data.features]


def rows_of(table: pa.Table, data: DataPolicy, window: Window) -> Rows:
    """The rows of a dataset with event time in `window`."""
    chosen = _within(table, window)
    return Rows(
        ids=chosen[ID].to_numpy().astype(str),
        event_time=_moments(chosen[EVENT_TIME]),
        features=matrix(chosen, data.features),
        label=doubles(chosen[data.label]),
    )


def label_columns(data: DataPolicy) -> list[str]:
    """What `labels_of` reads of a dataset."""
    return [ID, EVENT_TIME, LABEL_TIME, data.label]


def labels_of(table: pa.Table, data: DataPolicy, window: Window) -> Labels:
    """The labels of the same rows, with their times."""
    chosen = _within(table, window)
    return Labels(
        ids=chosen[ID].to_numpy().astype(str),
        event_time=_moments(chosen[EVENT_TIME]),
        known_at=_moments(chosen[LABEL_TIME]),
        label=doubles(chosen[data.label]),
    )


def _within(table: pa.Table, window: Window) -> pa.Table:
    moments = table[EVENT_TIME]
    return table.filter(pc.and_(pc.greater_equal(moments, pa.scalar(window.start)), pc.less(moments, pa.scalar(window.end))))


def _moments(column: pa.ChunkedArray) -> NDArray[np.datetime64]:
    return np.asarray(column.cast(pa.timestamp("us")).to_numpy())


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
