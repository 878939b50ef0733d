"""Captured answers as a table, however a platform keeps them: one row per answer, one column `feature_<name>` per feature."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.base import Utc
from contracts.snapshot import DataPolicy, Window
from contracts.training import Task
from platforms.tables import Served

FEATURE = "feature_"
"""Prefix of feature columns, so that no feature's name meets one of ours."""
MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("event_time", MOMENT),
        ("served_at", MOMENT),
        ("digest", pa.string()),
        ("score", pa.float64()),
        ("answer", pa.int16()),
        ("scores", pa.list_(pa.float64())),
    ]
)


class CapturedRow(BaseModel):
    """One answer as it was kept. Times are UTC."""

    model_config = ConfigDict(extra="ignore")

    id: str
    event_time: AwareDatetime
    served_at: AwareDatetime
    digest: str
    """Model that answered."""
    score: float
    """Of the answered class, where there are several."""
    answer: int | None = Field(default=None, ge=0, le=32767)
    """Label, or number of the answered class; None for a regression."""
    scores: tuple[float, ...] | None = None
    """Of all classes, where there are several."""
    features: dict[str, float | None]


def to_table(rows: Sequence[CapturedRow]) -> pa.Table:
    """The rows as a table; a feature that a row doesn't have is null there."""
    names = sorted({name for row in rows for name in row.features})
    columns = [pa.array([getattr(row, field.name) for row in rows], type=field.type) for field in SCHEMA]
    columns += [pa.array([row.features.get(name) for row in rows], type=pa.float64()) for name in names]
    schema = pa.schema([*SCHEMA, *((FEATURE + name, pa.float64()) for name in names)])
    return pa.table(columns, schema=schema)


def captured_between(table: pa.Table, start: datetime, end: datetime) -> pa.Table:
    """The rows with start <= event_time < end."""
    moment = table["event_time"]
    inside = pc.and_(pc.greater_equal(moment, pa.scalar(start, MOMENT)), pc.less(moment, pa.scalar(end, MOMENT)))
    return table.filter(inside)


def answered(parts: Sequence[pa.Table], window: Window, known_at: Utc) -> pa.Table:
    """One row for each id of the window, as it was answered last, in event-time order.

    An answer given after `known_at` counts only where there is no earlier one: in a replayed year all are.
    """
    everything = pa.concat_tables([SCHEMA.empty_table(), *parts], promote_options="default")
    rows = captured_between(everything, window.start, window.end)
    later = pc.greater(rows["served_at"], pa.scalar(known_at, MOMENT))
    rows = rows.append_column("_later", later).sort_by([("_later", "descending"), ("served_at", "ascending")])
    return (
        rows.take(last_of_each(rows["id"])).drop_columns(["_later"]).sort_by([("event_time", "ascending"), ("id", "ascending")])
    )


def last_of_each(ids: pa.ChunkedArray) -> pa.Array:
    """Positions of the last row of every id, in order."""
    codes = ids.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    _, from_end = np.unique(codes[::-1], return_index=True)
    return pa.array(np.sort(len(codes) - 1 - from_end))


def served(rows: pa.Table, data: DataPolicy, labels: NDArray[np.float64]) -> Served:
    """The answers with their labels, in the columns of the policy."""
    return Served(
        ids=_text(rows, "id"),
        event_time=rows["event_time"].to_numpy().astype("datetime64[us]"),
        features=_features(rows, data.features),
        label=labels,
        score=_scores(rows, data),
        digest=_text(rows, "digest"),
    )


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
