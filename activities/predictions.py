"""The evidence file: every model's scores on the same rows, as one Parquet file whose bytes are its digest.

Columns: part ('holdout' or 'replay'), id, event_time (UTC), label (null where none had arrived), champion, challenger
(the judged fit) and refit (what would ship; null on the holdout, whose rows it was trained on).
"""

import io
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from platforms.errors import Corrupt
from platforms.ports import Rows
from policies.paired import PairedScores

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Rows of the holdout or of the replay with what each model says of them; every array has shape (n,)."""

    rows: Rows
    champion: Scores
    challenger: Scores
    refit: Scores | None


def encode(holdout: Part, replay: Part) -> bytes:
    """The same scores give the same bytes."""
    table = pa.concat_tables([_table("holdout", holdout), _table("replay", replay)])
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _table(name: str, part: Part) -> pa.Table:
    n = len(part.rows)
    refit = pa.nulls(n, pa.float64()) if part.refit is None else pa.array(part.refit, pa.float64())
    return pa.table(
        {
            "part": pa.array([name] * n, pa.string()),
            "id": pa.array(part.rows.ids.tolist(), pa.string()),
            "event_time": pa.array(part.rows.event_time.astype("datetime64[us]"), pa.timestamp("us", tz="UTC")),
            "label": pa.array(part.rows.label, pa.float64(), from_pandas=True),
            "champion": pa.array(part.champion, pa.float64()),
            "challenger": pa.array(part.challenger, pa.float64()),
            "refit": refit,
        }
    )


@dataclass(frozen=True)
class Predictions:
    """The evidence file, read."""

    holdout: PairedScores
    replay: PairedScores
    judged_on_replay: Scores
    refit_on_replay: Scores


def decode(content: bytes) -> Predictions:
    """Raises: Corrupt."""
    try:
        table = pq.read_table(io.BytesIO(content))
        holdout = table.filter(pc.equal(table["part"], "holdout"))
        replay = table.filter(pc.equal(table["part"], "replay"))
        return Predictions(_paired(holdout), _paired(replay), _column(replay, "challenger"), _column(replay, "refit"))
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise Corrupt(f"the evidence file can't be read ({error}): evaluate again") from error


def _column(table: pa.Table, name: str) -> Scores:
    values = table[name].combine_chunks().to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float64)


def _paired(table: pa.Table) -> PairedScores:
    moments = table["event_time"].combine_chunks().cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
    return PairedScores(
        day=moments.astype("datetime64[D]").astype(np.int64),
        label=_column(table, "label"),
        champion=_column(table, "champion"),
        challenger=_column(table, "challenger"),
    )
