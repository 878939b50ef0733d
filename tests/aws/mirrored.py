"""Frozen datasets in the bucket: taken by the local feature store, put where a training job's channel finds them."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from contracts.snapshot import DataPolicy, Snapshot, TakeSnapshot, Window
from contracts.training import DatasetRef
from platforms.aws.objects import Objects
from platforms.files import key_mark
from platforms.local.feature_store import LocalFeatureStore
from platforms.ports import Rows


class MirroredFeatures:
    """For tests of what comes after the snapshot."""

    def __init__(self, home: Path, objects: Objects) -> None:
        self._local = LocalFeatureStore(home)
        self._objects = objects
        self._here: dict[str, DatasetRef] = {}

    def append(self, table: str, rows: pa.Table) -> Any:
        return self._local.append(table, rows)

    def snapshot(self, request: TakeSnapshot) -> Snapshot:
        taken = self._local.snapshot(request)
        folder = Path(taken.dataset.uri).parent
        for name in ("rows.parquet", "seal.json"):
            self._objects.put(f"snapshots/{key_mark(request.key)}/{name}", (folder / name).read_bytes())
        there = taken.dataset.model_copy(update={"uri": self._objects.uri(f"snapshots/{key_mark(request.key)}/rows.parquet")})
        self._here[there.uri] = taken.dataset
        return taken.model_copy(update={"dataset": there})

    def rows(self, dataset: DatasetRef, data: DataPolicy, window: Window) -> Rows:
        return self._local.rows(self._here[dataset.uri], data, window)
