"""The evidence file: every model's scores on the same rows, as one Parquet file whose bytes are its digest.

Columns: part ('holdout' or 'replay'), id, event_time (UTC), label (null where none had arrived), champion, challenger
(the judged fit) and refit (what would ship; null on the holdout, whose rows it was trained on). A score is a number, in a
multiclass task a list with the probability of each class. For each slicing feature there is a column `slice_NAME`, null where
the value is missing and on the replay.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts.training import Task
from platforms.errors import Corrupt
from platforms.ports import Rows
from policies.paired import PairedScores

Scores = NDArray[np.float64]
_SLICE: Final = "slice_"


@dataclass(frozen=True)
class Part:
    """Rows of the holdout or of the replay with what each model says of them; arrays have shape (n,), or (n, K) for K classes."""

    rows: Rows
    champion: Scores
    challenger: Scores
    refit: Scores | None


def encode(holdout: Part, replay: Part, slices: Mapping[str, Scores] | None = None) -> bytes:
    """The same scores give the same bytes. `slices` holds a value per row of the holdout, by feature."""
    table = pa.concat_tables([_table("holdout", holdout), _table("replay", replay)])
    for name, values in (slices or {}).items():
        column = pa.concat_arrays([pa.array(values, pa.float64(), from_pandas=True), pa.nulls(len(replay.rows), pa.float64())])
        table = table.append_column(f"{_SLICE}{name}", column)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _table(name: str, part: Part) -> pa.Table:
    n = len(part.rows)
    champion, challenger = _scores(part.champion), _scores(part.challenger)
    refit = _scores(np.full(part.challenger.shape, np.nan) if part.refit is None else part.refit)
    return pa.table(
        {
            "part": pa.array([name] * n, pa.string()),
            "id": pa.array(part.rows.ids.tolist(), pa.string()),
            "event_time": pa.array(part.rows.event_time.astype("datetime64[us]"), pa.timestamp("us", tz="UTC")),
            "label": pa.array(part.rows.label, pa.float64(), from_pandas=True),
            "champion": champion,
            "challenger": challenger,
            "refit": refit,
        }
    )


def _scores(score: Scores) -> pa.Array:
    """NaN is null, in a list each value by itself: Parquet has no list of a fixed size that is null."""
    flat = pa.array(score.ravel(), pa.float64(), from_pandas=True)
    return flat if score.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, score.shape[1])


def kept_part(content: bytes, name: str) -> Part:
    """The rows of 'holdout' or 'replay' of an evidence file, with their scores; it holds no features. Raises: Corrupt."""
    try:
        table = pq.read_table(io.BytesIO(content))
        table = table.filter(pc.equal(table["part"], name))
        moments = table["event_time"].combine_chunks().cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
        rows = Rows(np.array(table["id"].to_pylist(), dtype=str), moments, np.empty((len(table), 0)), _column(table, "label"))
        return Part(rows, _column(table, "champion"), _column(table, "challenger"), _column(table, "refit"))
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise Corrupt(f"the evidence file can't be read ({error}): evaluate again") from error


@dataclass(frozen=True)
class Predictions:
    """The evidence file, read."""

    holdout: PairedScores
    replay: PairedScores
    judged_on_replay: Scores
    refit_on_replay: Scores
    slices: Mapping[str, Scores] = field(default_factory=dict)
    """Values of the slicing features, one for each row of the holdout, NaN where one is missing."""


def decode(content: bytes, task: Task = Task.BINARY) -> Predictions:
    """Raises: Corrupt."""
    try:
        table = pq.read_table(io.BytesIO(content))
        holdout = table.filter(pc.equal(table["part"], "holdout"))
        replay = table.filter(pc.equal(table["part"], "replay"))
        slices = {name.removeprefix(_SLICE): _column(holdout, name) for name in table.column_names if name.startswith(_SLICE)}
        return Predictions(
            _paired(holdout, task), _paired(replay, task), _column(replay, "challenger"), _column(replay, "refit"), slices
        )
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise Corrupt(f"the evidence file can't be read ({error}): evaluate again") from error


def _column(table: pa.Table, name: str) -> Scores:
    """Shape (n,), or (n, K) where each row has a list."""
    column = table[name].combine_chunks()
    if not pa.types.is_fixed_size_list(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=np.float64).reshape(
        len(column), column.type.list_size
    )


def _paired(table: pa.Table, task: Task) -> PairedScores:
    moments = table["event_time"].combine_chunks().cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
    return PairedScores(
        day=moments.astype("datetime64[D]").astype(np.int64),
        label=_column(table, "label"),
        champion=_column(table, "champion"),
        challenger=_column(table, "challenger"),
        task=task,
    )
