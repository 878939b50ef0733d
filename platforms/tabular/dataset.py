"""A frozen dataset: one Parquet file in event-time order, with the two digests that tell whether it is still itself.

It is read with pyarrow alone, since the training process should start fast.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts.base import Contract, Sha256
from contracts.training import DatasetRef
from platforms.errors import Corrupt, NotFound
from platforms.files import read_bytes, read_json

ROWS: Final = "rows.parquet"
SEAL: Final = "seal.json"


class Seal(Contract):
    """What the frozen file must be."""

    content: Sha256
    """Content hash of the rows, independent of their order and layout."""
    file: Sha256
    """SHA-256 of the file's bytes."""


def read_dataset(dataset: DatasetRef, columns: Sequence[str]) -> pa.Table:
    """The named columns of all rows, checked against the seal.

    Raises:
        NotFound: no such dataset or no such column, naming those there are.
        Corrupt: the file or the seal isn't what was frozen.
    """
    path = Path(dataset.uri)
    seal = read_json(path.parent / SEAL, Seal)
    return sealed_rows(read_bytes(path), seal, dataset, columns)


def sealed_rows(content: bytes, seal: Seal, dataset: DatasetRef, columns: Sequence[str]) -> pa.Table:
    """The same of a file that was read already. Raises: NotFound (no such column), Corrupt."""
    if seal.content != dataset.sha256:
        raise Corrupt(f"{dataset.uri} holds dataset {seal.content[:12]}, wanted {dataset.sha256[:12]}: take the snapshot again")
    if sha256(content).hexdigest() != seal.file:
        folder = dataset.uri.rpartition("/")[0]
        raise Corrupt(
            f"{dataset.uri} was changed after it was frozen: restore it, or remove {folder} and take the snapshot again"
        )
    with pq.ParquetFile(pa.BufferReader(content)) as file:
        there = file.schema_arrow.names
        if missing := [name for name in columns if name not in there]:
            raise NotFound(f"{dataset.uri} has no column {', '.join(missing)}; there are: {', '.join(there)}")
        return file.read(columns=list(columns), use_threads=False)


def matrix(rows: pa.Table, columns: Sequence[str]) -> NDArray[np.float64]:
    """The columns as an array of shape (n, k); nulls become NaN."""
    found = [doubles(rows[name]) for name in columns]
    return np.column_stack(found) if found else np.empty((rows.num_rows, 0))


def doubles(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """The column as floats, nulls as NaN."""
    return np.asarray(pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy(), dtype=np.float64)
