"""The feature store on AWS: windows are unloaded by Athena as they were known at a moment, and frozen as everywhere.

snapshots/<key>/tags.json              whose it is, written first, so that a sweep finds what a crash left
snapshots/<key>/attempts/<number>      executions that were asked for
snapshots/<key>/unload-<token>/        what one execution wrote; gone once the snapshot is there
snapshots/<key>/<digest>/              rows.parquet and seal.json, never changed
snapshots/<key>/snapshot.json          the snapshot, written once and last
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Final, TypeVar

import pyarrow as pa

from contracts.base import Utc
from contracts.snapshot import Coverage, DataPolicy, Snapshot, TakeSnapshot, Window
from contracts.training import DatasetRef
from platforms.aws.calls import Aws
from platforms.aws.feature_sources import Place, Source
from platforms.aws.objects import Objects
from platforms.aws.source_choice import Sources
from platforms.errors import NotFound
from platforms.files import json_bytes, key_mark
from platforms.ports import Labels, Rows
from platforms.tabular.dataset import ROWS, SEAL, Seal, sealed_rows
from platforms.tabular.freezing import (
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
T = TypeVar("T")


class AwsFeatureStore:
    """One object may be shared by threads, one bucket by processes."""

    def __init__(self, aws: Aws, objects: Objects) -> None:
        self._aws = aws
        self._objects = objects
        self._sources = Sources(aws, objects)
        self._taking: dict[str, Lock] = {}
        self._lock = Lock()
        self._newest: tuple[str, bytes] | None = None
        """The dataset that was read last: scoring, gate and training advice read the same one."""

    def snapshot(self, request: TakeSnapshot) -> Snapshot:
        """Freeze the window as it was known at `as_of`; the same key gives the same snapshot.

        Raises:
            NotFound: no such table, group or column.
            Invalid: a label that the task doesn't have, a name that can't be a feature.
            Corrupt: a partition can't be read.
            Exhausted: memory or disk is used up.
            Unavailable: Athena failed or doesn't answer.
        """
        folder = f"snapshots/{key_mark(request.key)}/"
        with self._lock:
            taking = self._taking.setdefault(folder, Lock())
        with taking:
            there = self._kept(folder)
            return there if there is not None else self._taken(request, folder)

    def coverage(self, request: TakeSnapshot) -> Coverage:
        """What a snapshot would say of its window; nothing is kept. Raises: as `snapshot`."""
        key = f"{request.key}/coverage/{token_hex(8)}"
        folder = f"snapshots/{key_mark(key)}/"

        def looked(source: Source, scratch: Path) -> Coverage:
            window, _ = window_of(request, self._first_day(source, request))
            fetched, _, _ = source.fetch(request.data, window, request.as_of, Place(key, folder, scratch))
            return look(request, window, fetched, scratch / "spill")

        try:
            return self._with_source(request, folder, looked)
        finally:
            self._objects.remove_all(folder)

    def rows(self, dataset: DatasetRef, data: DataPolicy, window: Window) -> Rows:
        """The labelled rows with event time in `window`, in event-time order. Raises: NotFound, Corrupt, Invalid."""
        return rows_of(self._dataset(dataset, row_columns(data)), data, window)

    def labels(self, dataset: DatasetRef, data: DataPolicy, window: Window) -> Labels:
        """Labels of the same rows, with their times. Raises: NotFound, Corrupt, Invalid."""
        return labels_of(self._dataset(dataset, label_columns(data)), data, window)

    def watermark(self, data: DataPolicy) -> Utc | None:
        """Data time up to which labels have arrived; None for an empty table. Raises: NotFound, Corrupt, Unavailable."""
        return self._sources.of(data).newest_label()

    def _kept(self, folder: str) -> Snapshot | None:
        try:
            return self._objects.read(folder + SNAPSHOT, Snapshot)
        except NotFound:
            return None

    def _taken(self, request: TakeSnapshot, folder: str) -> Snapshot:
        """Whoever is faster wins: a snapshot that is there by then stays as it is."""
        try:
            made = self._with_source(request, folder, lambda source, scratch: self._built(request, source, folder, scratch))
        except NotFound:
            there = self._kept(folder)  # another worker may just have finished and cleared what this one was reading
            if there is None:
                raise
            return there
        if not self._objects.create(folder + SNAPSHOT, json_bytes(made)):
            made = self._objects.read(folder + SNAPSHOT, Snapshot)
        for rest in ("unload-", "athena/"):
            self._objects.remove_all(folder + rest)
        return made

    def _with_source(self, request: TakeSnapshot, folder: str, do: Callable[[Source, Path], T]) -> T:
        source = self._sources.of(request.data, request.endpoint)
        self._objects.put(folder + TAGS, json_bytes(Tagged.of(request.tags, "snapshot")))
        with TemporaryDirectory(prefix="snapshot-") as scratch:
            return do(source, Path(scratch))

    def _built(self, request: TakeSnapshot, source: Source, folder: str, scratch: Path) -> Snapshot:
        window, cut = window_of(request, self._first_day(source, request))
        fetched, text, retrieval = source.fetch(request.data, window, request.as_of, Place(request.key, folder, scratch))
        frozen = freeze(request, window, fetched, scratch, scratch / "spill")
        home = f"{folder}{frozen.seal.file[:16]}/"
        self._objects.put(home + SEAL, json_bytes(frozen.seal))
        uri = self._objects.put(home + ROWS, (scratch / ROWS).read_bytes())
        return snapshot_of(request, window, cut, frozen, uri=uri, text=text, retrieval=retrieval)

    @staticmethod
    def _first_day(source: Source, request: TakeSnapshot) -> date | None:
        return source.first_day(request.as_of) if "all" in request.horizons else None

    def _dataset(self, dataset: DatasetRef, columns: list[str]) -> pa.Table:
        key = self._objects.within(dataset.uri)
        seal = self._objects.read(key.removesuffix(ROWS) + SEAL, Seal)
        newest = self._newest
        content = newest[1] if newest is not None and newest[0] == dataset.uri else self._objects.get(key)
        self._newest = (dataset.uri, content)
        return sealed_rows(content, seal, dataset, columns)
