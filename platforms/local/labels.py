"""Labels as they were known at a moment: what captured requests are joined with."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts.snapshot import DataPolicy, Window
from platforms.errors import Corrupt, Invalid
from platforms.local.feature_table import FeatureTable
from platforms.tabular.captured import last_of_each
from platforms.tabular.columns import ID, LABEL_TIME, TIMESTAMP, VERSION


def join_labels(ids: pa.ChunkedArray, *, home: Path, data: DataPolicy, window: Window, known_at: datetime) -> NDArray[np.float64]:
    """The label of each id, shape (n,): NaN where none had arrived by `known_at`.

    Of two labels the one that arrived last counts, as in a snapshot, and of those the newer version.

    Raises: NotFound (no such table), Invalid (no such label column), Corrupt (a partition can't be read).
    """
    table = FeatureTable(home / "features", data.table)
    parts = [_arrived(path, data, known_at) for path in table.files(window.start, window.end)]
    if not parts:
        return np.full(len(ids), np.nan)
    labels = pa.concat_tables(parts).sort_by([(LABEL_TIME, "ascending"), (VERSION, "ascending")])
    newest = labels.take(last_of_each(labels[ID]))
    found = pc.index_in(ids, value_set=newest[ID])
    return np.asarray(newest[data.label].take(found).to_numpy(), dtype=np.float64)


def _arrived(path: Path, data: DataPolicy, known_at: datetime) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            if data.label not in file.schema_arrow.names:
                raise Invalid(f"{path} has no column {data.label!r}: data.label must name the label column of table {data.table}")
            rows = file.read(columns=[ID, LABEL_TIME, VERSION, data.label], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise Corrupt(f"{path} can't be read: {str(error).splitlines()[0]}. Restore it or move it away") from None
    arrived = pc.less_equal(rows[LABEL_TIME], pa.scalar(known_at, TIMESTAMP))
    return rows.filter(arrived).select([ID, LABEL_TIME, VERSION, data.label])
