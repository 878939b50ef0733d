"""What the report shows beside the scores: the rows' features, what the models learned from, and the bench's record."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts.evaluation import Evidence
from contracts.snapshot import DataPolicy, Snapshot, Window
from platforms.errors import Corrupt, NotFound, Unavailable
from platforms.ports import Platform, Rows
from policies.families import FAMILIES
from policies.paired import PairedScores

LEARNED = timedelta(days=90)
"""So much of the training rows is shown."""


@dataclass(frozen=True)
class ReportRows:
    """Rows with their features. Those of holdout and replay are in the order of the scores."""

    names: tuple[str, ...]
    """Columns of `features`."""
    categorical: frozenset[str] = frozenset()
    training: Rows | None = None
    """The newest of what the judged fit may have learned from."""
    holdout: Rows | None = None
    replay: Rows | None = None
    lacking: tuple[str, ...] = ()
    """In words, what could not be had."""


@dataclass(frozen=True)
class BenchPeriod:
    """One period of the shadow bench: mean loss of the primary metric by series ('champion', 'blend', a member's name)."""

    start: datetime
    rows: int
    loss: Mapping[str, float]


def gathered(
    platform: Platform,
    *,
    endpoint: str,
    data: DataPolicy,
    snapshot: Snapshot,
    evidence: Evidence,
    predictions: bytes,
    categorical: Sequence[str] = (),
) -> ReportRows:
    """Everything as it was at the evaluation: a request that came in since is left out, so that a repeat shows the same."""
    lacking: list[str] = []

    def had(what: str, read: Callable[[], Rows]) -> Rows | None:
        try:
            return read()
        except (NotFound, Corrupt, Unavailable) as error:
            lacking.append(f"The features of the {what} can't be shown: {error}")
            return None

    store, traffic, compared = platform.features, platform.traffic, evidence.compared
    learned = _newest(snapshot, min(snapshot.cut, compared.start))
    training = had("training rows", lambda: store.rows(snapshot.dataset, data, learned))
    holdout = had("compared rows", lambda: store.rows(snapshot.dataset, data, compared))
    replay = had("replayed requests", lambda: traffic.replay(endpoint, data, compared, known_at=snapshot.as_of))
    return ReportRows(
        names=data.features,
        categorical=frozenset(categorical),
        training=training,
        holdout=holdout and _aligned(holdout, _ids(predictions, "holdout")),
        replay=replay and _aligned(replay, _ids(predictions, "replay")),
        lacking=tuple(lacking),
    )


def _newest(snapshot: Snapshot, end: datetime) -> Window:
    """The last rows before the comparison: of a long window all would be more than a page needs to hold."""
    end = max(snapshot.window.start, end)
    return Window(start=max(snapshot.window.start, end - LEARNED), end=end)


def by_period(part: PairedScores, primary: str, period: timedelta, end: datetime) -> list[BenchPeriod]:
    """The record that a verdict of the shadow bench rests on: champion and blend, period by period back from `end`."""
    rows, loss = part.labelled(), FAMILIES[part.task].row_loss[primary]
    champion, blend = loss(rows.label, rows.champion), loss(rows.label, rows.challenger)
    days = max(1, round(period / timedelta(days=1)))
    last = (end - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(days=1)
    back = (last - rows.day) // days
    found = []
    for n in sorted(set(back.tolist()), reverse=True):
        there = back == n
        start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=int(last - (n + 1) * days + 1))
        means = {"champion": float(champion[there].mean()), "blend": float(blend[there].mean())}
        found.append(BenchPeriod(start=start, rows=int(there.sum()), loss=means))
    return found


def _ids(predictions: bytes, part: str) -> NDArray[np.str_]:
    """Ids of one part of the evidence file, in its order."""
    table = pq.read_table(io.BytesIO(predictions), columns=["part", "id"])
    return np.asarray(table.filter(pc.equal(table["part"], part))["id"].to_pylist(), dtype=np.str_)


def _aligned(rows: Rows, ids: NDArray[np.str_]) -> Rows:
    """The rows under these ids; one that is gone keeps its place, without features."""
    place = {name: i for i, name in enumerate(rows.ids.tolist())}
    at = np.array([place.get(name, -1) for name in ids.tolist()], dtype=np.int64)
    gone = at < 0
    features, label, moments = (np.full((len(ids), *a.shape[1:]), fill, a.dtype) for a, fill in _columns(rows))
    features[~gone], label[~gone] = rows.features[at[~gone]], rows.label[at[~gone]]
    moments[~gone] = rows.event_time[at[~gone]]
    return Rows(ids=ids, event_time=moments, features=features, label=label)


def _columns(rows: Rows) -> tuple[tuple[NDArray[Any], Any], ...]:
    return (rows.features, np.nan), (rows.label, np.nan), (rows.event_time, np.datetime64("NaT"))
