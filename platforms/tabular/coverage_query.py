"""What the known rows of a window look like by day: one pass over the table `known`, and what comes out is small."""
# ruff: noqa: S608 - every name goes through quoted, every value is a number or a moment that we format

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import duckdb
import numpy as np

from contracts.base import Utc
from contracts.coverage import Bounds
from contracts.snapshot import DataPolicy, Window
from platforms.tabular.columns import EVENT_TIME, LABEL_TIME
from platforms.tabular.feature_query import moment, quoted
from policies.data_facts import ColumnDays, Counts, Tally, WindowFacts
from policies.label_delay import LAST_STEP, RATIO, Delays

MOST_DAYS: Final = 400
"""Rows further back tell nothing of what is usual today."""
MOST_VALUES: Final = 2000
"""A feature with more codes, and a segment with more values, isn't followed by value."""
_BATCH: Final = 100
"""Features in one query."""
_DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000
_DAY: Final = f"epoch_us({EVENT_TIME}) // {_DAY_US}"


def measure(
    database: duckdb.DuckDBPyConnection,
    data: DataPolicy,
    *,
    counted: Window,
    as_of: Utc,
    categorical: Sequence[str],
    types: Mapping[str, str],
) -> WindowFacts:
    """Facts of the table `known`; `counted` is the window whose coverage is wanted, older rows say what is usual."""
    since = f"{EVENT_TIME} >= {moment(counted.end - timedelta(days=MOST_DAYS))}"
    cells = database.execute(
        f"SELECT {_DAY}, count(*), {_repeated(data)} FROM known WHERE {since} GROUP BY 1 ORDER BY 1"
    ).fetchnumpy()
    day, rows, repeated = (np.asarray(column, dtype=np.int64) for column in cells.values())
    newest, first = _bounds(database, data)
    inside = f"{EVENT_TIME} >= {moment(counted.start)} AND {EVENT_TIME} < {moment(counted.end)}"
    return WindowFacts(
        window=counted,
        days=day.astype("datetime64[D]"),
        rows=rows,
        repeated=repeated,
        columns=tuple(_columns(database, data, since)),
        codes=tuple(found for name in categorical if (found := _tally(database, name, since, day)) is not None),
        segment=_tally(database, data.segment, since, day) if data.segment else None,
        hours=_hours(database, since),
        types=types,
        delays=_delays(database, data, newest, f"{EVENT_TIME} <= {moment(newest)}") if newest else None,
        waiting=_delays(database, data, as_of, inside),
        newest_label=newest,
        young=first is not None and first > counted.start,
    )


def _repeated(data: DataPolicy) -> str:
    """Rows less different ones."""
    values = ", ".join([EVENT_TIME, *map(quoted, data.features)])
    return f"count(*) - count(DISTINCT hash({values}))"


def _columns(database: duckdb.DuckDBPyConnection, data: DataPolicy, since: str) -> list[ColumnDays]:
    found: list[ColumnDays] = []
    for start in range(0, len(data.features), _BATCH):
        names = data.features[start : start + _BATCH]
        wanted = ", ".join(part for name in names for part in _of_column(name, data.bounds.get(name)))
        cells = database.execute(f"SELECT {_DAY} AS day, {wanted} FROM known WHERE {since} GROUP BY 1 ORDER BY 1").fetchnumpy()
        values = [np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan) for column in list(cells.values())[1:]]
        for place, name in enumerate(names):
            low, high, missing, odd = values[4 * place : 4 * place + 4]
            found.append(ColumnDays(name, low, high, missing.astype(np.int64), odd.astype(np.int64)))
    return found


def _of_column(name: str, bounds: Bounds | None) -> tuple[str, str, str, str]:
    column = quoted(name)
    odd = [f"isinf({column})"]
    if bounds is not None and bounds.least is not None:
        odd.append(f"{column} < {bounds.least!r}")
    if bounds is not None and bounds.most is not None:
        odd.append(f"{column} > {bounds.most!r}")
    finite = f"FILTER (isfinite({column}))"
    return (
        f"min({column}) {finite}",
        f"max({column}) {finite}",
        f"count(*) - count({column})",
        f"count(*) FILTER ({' OR '.join(odd)})",
    )


def _tally(database: duckdb.DuckDBPyConnection, name: str, since: str, days: Counts) -> Tally | None:
    """None where there are too many values to follow each."""
    column = quoted(name)
    cells = database.execute(f"SELECT {column}, {_DAY}, count(*) FROM known WHERE {since} GROUP BY 1, 2 ORDER BY 1, 2").fetchall()
    values = list(dict.fromkeys(cell[0] for cell in cells))
    if len(values) > MOST_VALUES:
        return None
    place = {value: i for i, value in enumerate(values)}
    rows = np.zeros((len(values), len(days)), dtype=np.int64)
    for value, day, count in cells:
        rows[place[value], np.searchsorted(days, day)] = count
    return Tally(name, tuple("missing" if value is None else f"{value:g}" for value in values), rows)


def _hours(database: duckdb.DuckDBPyConnection, since: str) -> dict[int, int]:
    query = f"SELECT epoch_us({EVENT_TIME}) // {_HOUR_US}, count(*) FROM known WHERE {since} GROUP BY 1 ORDER BY 1"
    return dict(database.execute(query).fetchall())


def _bounds(database: duckdb.DuckDBPyConnection, data: DataPolicy) -> tuple[datetime | None, datetime | None]:
    """The newest label's time and the oldest event's."""
    label = quoted(data.label)
    query = f"SELECT epoch_us(max({LABEL_TIME}) FILTER ({label} IS NOT NULL)), epoch_us(min({EVENT_TIME})) FROM known"
    found = database.execute(query).fetchone()
    assert found is not None
    newest, first = (None if us is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us) for us in found)
    return newest, first


def _delays(database: duckdb.DuckDBPyConnection, data: DataPolicy, at: datetime, which: str) -> Delays:
    """Delays of labels rounded up to a step, ages of rows without one rounded down."""
    age = f"(epoch_us({moment(at)}) - epoch_us({EVENT_TIME})) / 1e6"
    delay = f"(epoch_us({LABEL_TIME}) - epoch_us({EVENT_TIME})) / 1e6"
    labelled = f"{quoted(data.label)} IS NOT NULL"
    step = f"CASE WHEN {labelled} THEN ceil({_steps(delay)}) ELSE floor({_steps(age)}) END"
    cells = database.execute(f"SELECT {labelled}, {step}, count(*) FROM known WHERE {which} GROUP BY 1, 2").fetchall()
    found = {True: np.zeros(LAST_STEP + 1, dtype=np.int64), False: np.zeros(LAST_STEP + 1, dtype=np.int64)}
    for known, place, rows in cells:
        found[known][min(int(place), LAST_STEP)] += rows
    return Delays(found[True], found[False])


def _steps(seconds: str) -> str:
    return f"ln(greatest({seconds}, 1.0)) / {math.log(RATIO)!r}"
