"""The as-of query in Athena's SQL: which version of each row was known, by event time and by the time of writing.

It says the same as the query of the local platform (platforms/tabular/feature_query.py), and two things more: a version that was
written after `as_of` is never read, and a deletion takes away every version that was written before it. Times come out as
microseconds since 1970, since an unloaded timestamp has only milliseconds.
"""
# ruff: noqa: S608 - every name goes through quoted, every value is a number or a date that we format

from datetime import UTC, date, datetime, timedelta
from typing import Final

from contracts.base import Utc
from contracts.snapshot import DataPolicy, Window
from platforms.aws.athena import quoted
from platforms.aws.table_shape import TableShape
from platforms.tabular.columns import EVENT_TIME, ID, LABEL_TIME

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY_KEYS: Final = frozenset({"day", "dt", "date", "ds", "event_date"})
"""A partition key of one of these names alone is taken for the event's day, YYYY-MM-DD."""


def as_of_select(shape: TableShape, data: DataPolicy, window: Window, as_of: Utc) -> str:
    """One row per id, with the columns of the policy and id, event_time, label_time."""
    label_time = _micros(shape, shape.label_time) if shape.label_time else _written_label(shape, data)
    versions = ", ".join(f"{_sortable(shape, column)} AS {quoted(f'_{n}')}" for n, column in enumerate(shape.version))
    order = ", ".join(quoted(f"_{n}") for n in range(len(shape.version))) or quoted("_label_time")
    features = "".join(f",\n         {_number(name)} AS {quoted(name)}" for name in data.features)
    deleted = f"coalesce({quoted(shape.deleted)}, false)" if shape.deleted else "false"
    names = ", ".join([quoted(ID), quoted(EVENT_TIME), quoted(data.label), *map(quoted, data.features)])
    return f"""\
WITH version AS (
  SELECT CAST({quoted(shape.id)} AS varchar) AS "id", {_micros(shape, shape.event_time)} AS "event_time",
         {label_time} AS "_label_time", {deleted} AS "_deleted"{", " if versions else ""}{versions},
         {_number(data.label)} AS {quoted(data.label)}{features}
  FROM {quoted(shape.database)}.{quoted(shape.table)}
  WHERE {_known(shape, window, as_of)}
),
numbered AS (
  SELECT *, row_number() OVER (PARTITION BY "id" ORDER BY {order}) AS "_number"
  FROM version
  WHERE "_deleted" OR ("event_time" >= {micros(window.start)} AND "event_time" < {micros(window.end)})
),
standing AS (
  SELECT *, max(CASE WHEN "_deleted" THEN "_number" END) OVER (PARTITION BY "id") AS "_gone",
         coalesce("_label_time" > {micros(as_of)}, false) AS "_later"
  FROM numbered
),
arrived AS (
  SELECT "id", "event_time", "_number", "_later", CASE WHEN NOT "_later" THEN "_label_time" END AS "label_time",
         CASE WHEN NOT "_later" AND "_label_time" IS NOT NULL THEN {quoted(data.label)} END AS {quoted(data.label)}\
{"".join(f", {quoted(name)}" for name in data.features)}
  FROM standing
  WHERE NOT "_deleted" AND "_number" > coalesce("_gone", 0)
),
placed AS (
  SELECT *, row_number() OVER (
    PARTITION BY "id" ORDER BY "label_time" DESC NULLS LAST, "_later", CASE WHEN "_later" THEN "_number" ELSE -"_number" END
  ) AS "_place"
  FROM arrived
)
SELECT {names}, {quoted(LABEL_TIME)}
FROM placed
WHERE "_place" = 1"""


def first_event_select(shape: TableShape, as_of: Utc) -> str:
    """The earliest event of all that was written by `as_of`."""
    return f"SELECT min({_micros(shape, shape.event_time)}) AS first FROM {_from(shape)} WHERE {_standing(shape, as_of)}"


def newest_label_select(shape: TableShape, data: DataPolicy) -> str:
    """The latest time of a label."""
    found = _micros(shape, shape.label_time) if shape.label_time else _written_label(shape, data)
    return f"SELECT max({found}) AS newest FROM {_from(shape)} WHERE {_standing(shape, None)}"


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def moment_of(us: int) -> Utc:
    return _EPOCH + us * _MICROSECOND


def _from(shape: TableShape) -> str:
    return f"{quoted(shape.database)}.{quoted(shape.table)}"


def _standing(shape: TableShape, as_of: Utc | None) -> str:
    parts = [f"NOT coalesce({quoted(shape.deleted)}, false)"] if shape.deleted else []
    if shape.written and as_of is not None:
        parts.append(f"{_micros(shape, shape.written)} <= {micros(as_of)}")
    return " AND ".join(parts) or "true"


def _known(shape: TableShape, window: Window, as_of: Utc) -> str:
    """Partitions that can hold the window's rows or a deletion of one, and versions that had been written."""
    last = as_of if shape.deleted else window.end
    parts = [*_partitions(shape, window.start.date(), last.date()), *_between(shape, window.start.date(), last.date())]
    if shape.written:
        parts.append(f"{_micros(shape, shape.written)} <= {micros(as_of)}")
    return "\n    AND ".join(parts) or "true"


def _partitions(shape: TableShape, first: date, last: date) -> list[str]:
    """Conditions on partition keys alone, so that Athena reads no other partition; keys of another meaning prune nothing."""
    keys = shape.partitions
    if {"year", "month", "day"} <= set(keys):
        year, month, day = (
            f"lpad(CAST({quoted(key)} AS varchar), {width}, '0')"
            for key, width in zip(("year", "month", "day"), (4, 2, 2), strict=True)
        )
        return [
            f"{year} BETWEEN '{first:%Y}' AND '{last:%Y}'",
            f"concat({year}, '-', {month}, '-', {day}) BETWEEN '{first}' AND '{last}'",
        ]
    if len(keys) == 1 and keys[0] in _DAY_KEYS:
        return [f"CAST({quoted(keys[0])} AS varchar) BETWEEN '{first}' AND '{last}'"]
    return []


def _between(shape: TableShape, first: date, last: date) -> list[str]:
    """The same on the column itself, so wide that no offset from UTC is missed: files are skipped by their least and largest
    value, which is all that prunes a table in the Iceberg format.
    """
    name, kind = quoted(shape.event_time), shape.types[shape.event_time]
    low, high = first - timedelta(days=1), last + timedelta(days=2)
    if kind == "string":
        return [f"{name} >= '{low}' AND {name} < '{high}'"]
    if kind.startswith("timestamp"):
        return [f"{name} >= TIMESTAMP '{low} 00:00:00' AND {name} < TIMESTAMP '{high} 00:00:00'"]
    return []


def _micros(shape: TableShape, column: str) -> str:
    """A moment as microseconds: ISO 8601 text, seconds as a number, or a timestamp."""
    name, kind = quoted(column), shape.types[column]
    if kind == "string":
        return f"CAST(round(to_unixtime(from_iso8601_timestamp_nanos({name})) * 1e6) AS bigint)"
    if kind.startswith("timestamp"):
        return f"CAST(round(to_unixtime({name}) * 1e6) AS bigint)"
    return f"CAST(round(CAST({name} AS double) * 1e6) AS bigint)"


def _sortable(shape: TableShape, column: str) -> str:
    return _micros(shape, column) if shape.types[column].startswith("timestamp") else quoted(column)


def _written_label(shape: TableShape, data: DataPolicy) -> str:
    """Without a column that says when a label arrived, it arrived when its version was written."""
    assert shape.written is not None
    return f"CASE WHEN {quoted(data.label)} IS NOT NULL THEN {_micros(shape, shape.written)} END"


def _number(name: str) -> str:
    """The column as a double; NaN and what is no number are missing values."""
    value = f"TRY_CAST({quoted(name)} AS double)"
    return f"CASE WHEN NOT is_nan({value}) THEN {value} END"
