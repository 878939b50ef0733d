"""The embedded feature store: rows are appended as Parquet, windows are asked for as of a moment and frozen.

features/<table>/day=YYYY-MM-DD/*.parquet      rows, see feature_table.py
snapshots/<key>/                               rows.parquet, seal.json, tags.json, snapshot.json
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa

from contracts.base import Utc
from contracts.snapshot import Coverage, DataPolicy, Snapshot, TakeSnapshot, Window
from contracts.training import DatasetRef
from platforms.errors import Invalid
from platforms.files import fsync_folder, key_folder, read_json, write_contract
from platforms.local.feature_table import FeatureTable
from platforms.local.staging import staged
from platforms.ports import Labels, Rows
from platforms.tabular import feature_query as query
from platforms.tabular.dataset import ROWS, SEAL, read_dataset
from platforms.tabular.freezing import (
    Fetched,
    freeze,
    label_columns,
    labels_of,
    look,
    row_columns,
    rows_of,
    snapshot_of,
    window_of,
)
from platforms.tagged import TAGS, Tagged

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
            Invalid: a label that the task doesn't have, a name that can't be a feature, a source that isn't here.
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
        window, _, fetched = self._fetched(request)
        with TemporaryDirectory(prefix="coverage-") as spill:
            return look(request, window, fetched, Path(spill))

    def rows(self, dataset: DatasetRef, data: DataPolicy, window: Window) -> Rows:
        """The labelled rows with event time in `window`, in event-time order. Raises: NotFound, Corrupt."""
        return rows_of(read_dataset(dataset, row_columns(data)), data, window)

    def labels(self, dataset: DatasetRef, data: DataPolicy, window: Window) -> Labels:
        """Labels of the same rows, with their times. Raises: NotFound, Corrupt."""
        return labels_of(read_dataset(dataset, label_columns(data)), data, window)

    def watermark(self, data: DataPolicy) -> Utc | None:
        """Data time up to which labels have arrived; None for an empty table. Raises: NotFound, Corrupt."""
        return self._table(data.table).newest_label()

    def _table(self, name: str) -> FeatureTable:
        return self._tables.setdefault(name, FeatureTable(self._features, name))

    def _fetched(self, request: TakeSnapshot) -> tuple[Window, Utc, Fetched]:
        """Window, cut and files. Raises: NotFound, Invalid."""
        data = request.data
        if data.source is not None:
            raise Invalid(
                f"data.source {data.source!r} is read on AWS only: the local platform reads table {data.table!r} of its own "
                "store. Take data.source out of the fleet file, or set HOMEOSTAT_PLATFORM=aws"
            )
        table = self._table(data.table)
        window, cut = window_of(request, next(iter(table.days()), None))
        return window, cut, Fetched(table.files(window.start, window.end), query.as_of_query(data, window, request.as_of))

    def _build(self, request: TakeSnapshot, staging: Path, folder: Path) -> None:
        """All files of the snapshot, `snapshot.json` last."""
        window, cut, fetched = self._fetched(request)
        spill = staging / "spill"
        frozen = freeze(request, window, fetched, staging, spill)
        shutil.rmtree(spill, ignore_errors=True)
        fsync_folder(staging / ROWS)
        write_contract(staging / SEAL, frozen.seal)
        write_contract(staging / TAGS, Tagged.of(request.tags, "snapshot"))
        text = fetched.text.replace(query.FILES, f"'features/{request.data.table}/day=*/*.parquet'")
        write_contract(staging / SNAPSHOT, snapshot_of(request, window, cut, frozen, uri=str(folder / ROWS), text=text))
