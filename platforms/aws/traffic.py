"""Captured requests for replay, with the labels that were known at a moment."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contracts.base import Utc
from contracts.snapshot import DataPolicy, Window
from platforms.aws.calls import Aws
from platforms.aws.capture import captured
from platforms.aws.feature_sources import Place
from platforms.aws.objects import Objects
from platforms.aws.online_store import OnlineLabels
from platforms.aws.source_choice import Sources
from platforms.ports import Served
from platforms.tabular import feature_query as query
from platforms.tabular.captured import answered, served
from platforms.tabular.columns import ID


class AwsTrafficLog:
    """The `TrafficLog` port over data capture in S3."""

    def __init__(self, aws: Aws, objects: Objects) -> None:
        self._aws = aws
        self._objects = objects
        self._sources = Sources(aws, objects)

    def replay(self, endpoint: str, data: DataPolicy, window: Window, known_at: Utc) -> Served:
        """Requests with event time in `window`, in its order, each id as it was answered last, with labels known at `known_at`.

        Raises: NotFound (no such table or label column), Invalid, Corrupt (labels can't be read), Unavailable.
        """
        rows = answered(captured(self._objects, endpoint, window), window, known_at)
        return served(rows, data, self._labels(rows["id"], data, window, known_at))

    def _labels(self, ids: pa.ChunkedArray, data: DataPolicy, window: Window, known_at: Utc) -> NDArray[np.float64]:
        """The label of each id, shape (n,): NaN where none had arrived."""
        if data.source is not None and data.source.startswith("online:"):
            known = OnlineLabels(self._aws, data.source.removeprefix("online:"), data).known(ids.to_pylist(), known_at)
            found = [known[id_][1] if id_ in known else np.nan for id_ in ids.to_pylist()]
            return np.array(found, dtype=np.float64)
        table = self._known(data, window, known_at)
        return np.asarray(table["label"].take(pc.index_in(ids, value_set=table[ID])).to_numpy(), dtype=np.float64)

    def _known(self, data: DataPolicy, window: Window, known_at: Utc) -> pa.Table:
        """Id and label of the rows of the days that the window touches."""
        bare = data.model_copy(update={"features": (), "segment": None, "slices": ()})
        days = Window(start=_midnight(window.start), end=_midnight(window.end) + timedelta(days=1))
        folder = f"queries/{token_hex(8)}/"
        try:
            with TemporaryDirectory(prefix="labels-") as scratch:
                place = Place(folder, folder, Path(scratch))
                fetched, _, _ = self._sources.of(bare).fetch(bare, days, known_at, place)
                with query.connection(Path(scratch) / "spill") as database:
                    if not fetched.files:
                        return pa.table({ID: pa.array([], pa.string()), "label": pa.array([], pa.float64())})
                    query.freeze(database, fetched.text, fetched.files, bare)
                    label = query.quoted(data.label)
                    return database.sql(
                        f"SELECT {ID}, {label} AS label FROM known WHERE {label} IS NOT NULL"  # noqa: S608 - names are quoted
                    ).to_arrow_table()
        finally:
            self._objects.remove_all(folder)


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
