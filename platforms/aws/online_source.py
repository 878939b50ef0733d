"""Rows without an offline store: live requests as they were captured, joined with the labels that the online store holds."""

from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.base import Utc
from contracts.snapshot import DataPolicy, Retrieval, Window
from platforms.aws.capture import captured
from platforms.aws.feature_sources import Place
from platforms.aws.objects import Objects
from platforms.aws.online_store import OnlineLabels
from platforms.errors import Invalid
from platforms.tabular import feature_query as query
from platforms.tabular.captured import FEATURE, MOMENT, answered
from platforms.tabular.columns import EVENT_TIME, ID, LABEL_TIME
from platforms.tabular.freezing import Fetched


class OnlineSource:
    """A label that a newer version has replaced by now can't be read any more: its row counts as unlabelled."""

    def __init__(self, objects: Objects, labels: OnlineLabels, endpoint: str, source: str) -> None:
        self._objects = objects
        self._labels = labels
        self._endpoint = endpoint
        self._source = source

    def first_day(self, as_of: Utc) -> date | None:
        """Raises: Invalid (nobody knows without reading everything that was ever captured)."""
        raise Invalid(f"data.source {self._source!r} has no horizon 'all', as of {as_of:%Y-%m-%d} or ever: name it in days")

    def newest_label(self) -> Utc | None:
        """An online store can't be searched, so nobody knows."""
        return None

    def fetch(self, data: DataPolicy, window: Window, as_of: Utc, place: Place) -> tuple[Fetched, str, Retrieval]:
        rows = answered(captured(self._objects, self._endpoint, window), window, as_of)
        known = self._labels.known(rows["id"].to_pylist(), as_of)
        arrived = [known.get(id_, (None, None)) for id_ in rows["id"].to_pylist()]
        columns = {
            ID: rows["id"],
            EVENT_TIME: rows["event_time"],
            LABEL_TIME: pa.array([moment for moment, _ in arrived], MOMENT),
            data.label: pa.array([label for _, label in arrived], pa.float64()),
        }
        there = set(rows.column_names)
        for name in data.features:
            columns[name] = rows[FEATURE + name] if FEATURE + name in there else pa.nulls(rows.num_rows, pa.float64())
        path = place.scratch / "captured.parquet"
        pq.write_table(pa.table(columns), path)
        names = ", ".join([ID, EVENT_TIME, LABEL_TIME, *map(query.quoted, (data.label, *data.features))])
        text = f"SELECT {names} FROM read_parquet({query.FILES})"  # noqa: S608 - every name is quoted
        retrieval = Retrieval(source=self._source, engine="duckdb", scanned_bytes=path.stat().st_size)
        told = (
            f"{text}\n-- capture/{self._endpoint} from {window.start} to {window.end}, joined with {self._source} as of {as_of}"
        )
        return Fetched([path] if rows.num_rows else [], text, {}), told, retrieval
