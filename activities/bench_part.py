"""One file of the bench's record: what the members of a fit and the champion said of rows, as Parquet that never changes.

Columns: id, event_time (UTC), by (the champion before any recalibration, empty where there was none), m0, m1, ... (members, in
the order that the file names), champion and shift; K columns each (m0.0, m0.1, ...) for a multiclass task.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from platforms.errors import Corrupt

Floats = NDArray[np.float64]
_MEMBERS = b"members"


@dataclass(frozen=True)
class ScoredRows:
    """Arrays of n rows, in any order."""

    ids: NDArray[np.str_]
    event_time: NDArray[np.datetime64]
    """UTC, microseconds, no zone."""
    margins: Floats
    """Shape (n, M) or (n, M, K); NaN where a member has no fit."""
    champion: Floats
    """Shape (n,) or (n, K): its margin without shift; NaN where there was none."""
    shift: Floats
    """Same shape."""
    by: NDArray[np.str_]
    """Digest of the champion before any recalibration."""

    def __len__(self) -> int:
        return len(self.ids)

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "ScoredRows":
        return ScoredRows(*(getattr(self, field.name)[which] for field in fields(self)))


def joined(parts: Sequence[ScoredRows], members: int, outputs: int) -> ScoredRows:
    """One after the other; none at all gives no rows of the right shape."""
    every = [nothing(members, outputs), *parts]
    return ScoredRows(*(np.concatenate([getattr(part, field.name) for part in every]) for field in fields(ScoredRows)))


def nothing(members: int, outputs: int) -> ScoredRows:
    """No rows."""
    tail = () if outputs == 1 else (outputs,)
    none = np.array([], dtype=str)
    one = np.empty((0, *tail))
    return ScoredRows(none, np.array([], "datetime64[us]"), np.empty((0, members, *tail)), one, one, none)


def encode(rows: ScoredRows, members: Sequence[str]) -> bytes:
    """The same rows give the same bytes."""
    columns: dict[str, pa.Array] = {
        "id": pa.array(rows.ids.tolist(), pa.string()),
        "event_time": pa.array(rows.event_time.astype("datetime64[us]"), pa.timestamp("us", tz="UTC")),
        "by": pa.array(rows.by.tolist(), pa.string()).dictionary_encode(),
    }
    for place in range(len(members)):
        columns |= _columns(f"m{place}", rows.margins[:, place])
    columns |= _columns("champion", rows.champion) | _columns("shift", rows.shift)
    table = pa.table(columns).replace_schema_metadata({_MEMBERS: json.dumps(list(members)).encode()})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _columns(name: str, values: Floats) -> dict[str, pa.Array]:
    if values.ndim == 1:
        return {name: pa.array(values, pa.float64())}
    return {f"{name}.{k}": pa.array(np.ascontiguousarray(values[:, k]), pa.float64()) for k in range(values.shape[1])}


def decode(content: bytes) -> tuple[ScoredRows, tuple[str, ...]]:
    """The rows and the names of the members. Raises: Corrupt."""
    try:
        table = pq.read_table(io.BytesIO(content))
        members = tuple(json.loads((table.schema.metadata or {})[_MEMBERS]))
        margins = [_values(table, f"m{place}") for place in range(len(members))]
        return ScoredRows(
            ids=np.array(table["id"].to_pylist(), dtype=str),
            event_time=table["event_time"].cast(pa.timestamp("us")).to_numpy(),
            margins=np.stack(margins, axis=1),
            champion=_values(table, "champion"),
            shift=_values(table, "shift"),
            by=np.array(table["by"].to_pylist(), dtype=str),
        ), members
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise Corrupt(f"a part of the bench's record can't be read ({error}): restore it from a backup") from error


def _values(table: pa.Table, name: str) -> Floats:
    if name in table.column_names:
        return np.asarray(table[name].to_numpy(), dtype=np.float64)
    names = sorted((one for one in table.column_names if one.startswith(f"{name}.")), key=lambda one: int(one.split(".")[1]))
    return np.column_stack([table[one].to_numpy() for one in names]).astype(np.float64)
