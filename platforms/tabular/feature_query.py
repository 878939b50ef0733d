"""The as-of query over a feature table, in DuckDB: which version of each row was known, and what its content hashes to."""
# ruff: noqa: S608 - every name goes through quoted, every value is a number or a moment that we format

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import duckdb

from contracts.base import Utc
from contracts.snapshot import Coverage, DataPolicy, Window
from contracts.training import Task
from platforms.errors import Exhausted, Invalid, NotFound, Unavailable
from platforms.tabular.columns import EVENT_TIME, ID, LABEL_TIME, RESERVED, VERSION
from policies.paired import LARGEST

MEMORY_LIMIT: Final = "2GB"
"""Beyond it DuckDB spills into the snapshot's own folder."""
FILES: Final = "$files"
SEGMENTS: Final = 50
NUMBERS: Final = (
    {"DOUBLE", "FLOAT", "BOOLEAN"}
    | {f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG")}
    | {
        "INTEGER",
        "UINTEGER",
    }
)
_BATCH = 100_000


@contextmanager
def connection(spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory database that loads nothing from outside; DuckDB's errors come out as ours."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 2,
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(spill),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(config=config) as database:
        try:
            yield database
        except duckdb.OutOfMemoryException as error:
            raise Exhausted(f"the query needs more than {MEMORY_LIMIT} of memory: {_first_line(error)}") from error
        except duckdb.IOException as error:
            if "No space left" in str(error) or "File too large" in str(error):
                raise Exhausted(f"the disk is full: {_first_line(error)}. Free some space, then try again") from error
            raise Unavailable(f"the feature store can't be read: {_first_line(error)}") from error


def check_columns(database: duckdb.DuckDBPyConnection, files: Sequence[Path], data: DataPolicy) -> dict[str, str]:
    """Every column that the policy names must be there; returns the features that hold no numbers, with their type.

    Raises:
        Invalid: a feature has a name that the store keeps for itself, or a column the wrong type.
        NotFound: no such column, naming those there are.
    """
    check_names(data)
    wanted = [*data.features, data.label]
    source = "SELECT * FROM read_parquet($files, union_by_name = true) LIMIT 0"
    described = database.execute(f"DESCRIBE {source}", {"files": [str(path) for path in files]}).fetchall()
    types = {row[0]: row[1] for row in described}
    if missing := [name for name in (*wanted, ID, EVENT_TIME, LABEL_TIME) if name not in types]:
        there = ", ".join(name for name in types if name not in RESERVED)
        raise NotFound(f"table {data.table!r} has no column {', '.join(missing)}; there are: {there}")
    for name in (EVENT_TIME, LABEL_TIME):
        if types[name] != "TIMESTAMP WITH TIME ZONE":
            raise Invalid(f"column {name} of table {data.table!r} is {types[name]}, wanted a UTC timestamp: append it anew")
    return {name: types[name] for name in data.features if types[name] not in NUMBERS}


def check_names(data: DataPolicy) -> None:
    """Raises: Invalid (a feature has a name that the store keeps for itself, or the segment is none of them)."""
    if clash := [name for name in (*data.features, data.label) if name.lower() in RESERVED]:
        raise Invalid(f"{', '.join(clash)} can't be a feature or label: the feature store keeps these names for itself")
    if data.segment is not None and data.segment not in data.features:
        raise Invalid(f"segment {data.segment!r} is no feature of table {data.table!r}; features are: {', '.join(data.features)}")


def as_of_query(data: DataPolicy, window: Window, as_of: Utc) -> str:
    """The retrieval query with its bounds.

    Of all versions of a row it takes the one whose label arrived last by `as_of`. A label that arrived later is never read:
    it comes out as NULL. A row without a known label is taken as it was before any label came, or, where it came only with its
    label, as it came first: what was corrected after `as_of` is never read.
    """
    arrived = f"{LABEL_TIME} <= {moment(as_of)}"
    tie = ", ".join(quoted(name) for name in (data.label, *sorted(data.features)))
    columns = "".join(f",\n         {_number(name)} AS {quoted(name)}" for name in data.features)
    return f"""\
WITH version AS (
  SELECT {ID}, {EVENT_TIME}, {VERSION}, coalesce({LABEL_TIME} > {moment(as_of)}, false) AS _later,
         CASE WHEN {arrived} THEN {LABEL_TIME} END AS {LABEL_TIME},
         CASE WHEN {arrived} THEN {_number(data.label)} END AS {quoted(data.label)}{columns}
  FROM read_parquet({FILES}, union_by_name = true)
  WHERE {EVENT_TIME} >= {moment(window.start)} AND {EVENT_TIME} < {moment(window.end)}
)
SELECT * EXCLUDE ({VERSION}, _later)
FROM version
QUALIFY row_number() OVER (
  PARTITION BY {ID}
  ORDER BY {LABEL_TIME} DESC NULLS LAST, _later, CASE WHEN _later THEN {VERSION} ELSE -{VERSION} END, hash({tie})
) = 1"""


def freeze(database: duckdb.DuckDBPyConnection, query: str, files: Sequence[Path], data: DataPolicy) -> None:
    """Run the query into the table `known`. Raises: Invalid (a label that the task doesn't have)."""
    database.execute(f"CREATE TABLE known AS {query}", {"files": [str(path) for path in files]})
    label = quoted(data.label)
    wrong, wanted = _no_label(label, data)
    odd = database.execute(f"SELECT {ID}, {label} FROM known WHERE {wrong} LIMIT 1").fetchone()
    if odd:
        raise Invalid(f"label {data.label!r} of row {odd[0]!r} in table {data.table!r} is {odd[1]}: labels are {wanted}")


def _no_label(label: str, data: DataPolicy) -> tuple[str, str]:
    """The condition under which a value is no label of the task, and what labels are, in words."""
    if data.task is Task.REGRESSION:
        return f"abs({label}) > {LARGEST!r}", f"finite numbers of at most {LARGEST:g}"
    most = max(len(data.classes), 2) - 1
    names = f": 0 is {data.classes[0]!r}, {most} is {data.classes[most]!r}" if data.classes else ""
    return (
        f"{label} < 0 OR {label} > {most} OR {label} <> floor({label})",
        f"0 or 1{names}" if most == 1 else f"0 to {most}{names}",
    )


def freeze_nothing(database: duckdb.DuckDBPyConnection, data: DataPolicy) -> None:
    """The table `known` of a window that no partition touches."""
    columns = ", ".join(f"{quoted(name)} DOUBLE" for name in (data.label, *data.features))
    database.execute(f"CREATE TABLE known ({ID} VARCHAR, {EVENT_TIME} TIMESTAMPTZ, {LABEL_TIME} TIMESTAMPTZ, {columns})")


def write_labelled(database: duckdb.DuckDBPyConnection, data: DataPolicy, path: Path) -> None:
    """The labelled rows as one Parquet file in event-time order."""
    names = ", ".join([ID, EVENT_TIME, LABEL_TIME, quoted(data.label), *map(quoted, data.features)])
    order = f"ORDER BY {EVENT_TIME}, {ID}"
    target = str(path).replace("'", "''")
    rows = f"SELECT {names} FROM known WHERE {quoted(data.label)} IS NOT NULL {order}"
    database.execute(f"COPY ({rows}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


def content_hash(database: duckdb.DuckDBPyConnection, data: DataPolicy) -> tuple[str, int]:
    """SHA-256 over the sorted MD5s of the labelled rows, so that order and file layout don't matter; and their number."""
    digest, rows = sha256("\x1f".join([data.label, *sorted(data.features)]).encode()), 0
    query = f"SELECT {_row_hash(data)} FROM known WHERE {quoted(data.label)} IS NOT NULL ORDER BY 1"
    result = database.execute(query)
    while batch := result.fetchmany(_BATCH):
        digest.update("".join(row[0] for row in batch).encode())
        rows += len(batch)
    return digest.hexdigest(), rows


def coverage(database: duckdb.DuckDBPyConnection, data: DataPolicy, window: Window, as_of: Utc) -> Coverage:
    """What `window` holds; the label rate is reckoned over the rows whose label is due by `as_of`."""
    label = quoted(data.label)
    bounds = f"{EVENT_TIME} >= {moment(window.start)} AND {EVENT_TIME} < {moment(window.end)}"
    due = f"{EVENT_TIME} <= {moment(as_of - data.label_delay)}"
    found = database.execute(
        f"""SELECT count(*), count({label}), count(DISTINCT epoch_us({EVENT_TIME}) // 86400000000) FILTER ({label} IS NOT NULL),
        count(*) FILTER ({due}), count({label}) FILTER ({due}), count(*) FILTER ({label} = 1), count(*) FILTER ({label} = 0)
        FROM known WHERE {bounds}"""
    ).fetchone()
    assert found is not None
    rows, labelled, days, expected, arrived, positives, negatives = found
    return Coverage(
        rows=rows,
        labelled=labelled,
        days=days,
        label_rate=arrived / expected if expected else 0.0,
        positives=positives,
        negatives=negatives,
        segments=_segments(database, data, bounds) if data.segment else {},
    ).model_copy(update=_by_task(database, data, bounds))


def _by_task(database: duckdb.DuckDBPyConnection, data: DataPolicy, bounds: str) -> dict[str, object]:
    """What a window holds of each class of many, or how far a regression's labels spread."""
    label = quoted(data.label)
    if data.task is Task.REGRESSION:
        query = f"SELECT stddev_pop({label}), count(DISTINCT {label}) FROM known WHERE {bounds}"
        ((spread, distinct),) = database.execute(query).fetchall()
        return {
            "positives": 0,
            "negatives": 0,
            "spread": spread if spread is None else float(f"{spread:.9g}"),
            "distinct": distinct,
        }
    if data.task is Task.BINARY:
        return {}
    query = f"SELECT {label}::BIGINT, count(*) FROM known WHERE {bounds} AND {label} IS NOT NULL GROUP BY 1"
    found = dict(database.execute(query).fetchall())
    return {"positives": 0, "negatives": 0, "classes": {name: found.get(i, 0) for i, name in enumerate(data.classes)}}


def _segments(database: duckdb.DuckDBPyConnection, data: DataPolicy, bounds: str) -> dict[str, int]:
    assert data.segment is not None
    found = database.execute(
        f"""SELECT {quoted(data.segment)}, count(*) FROM known
        WHERE {bounds} AND {quoted(data.label)} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {SEGMENTS}"""
    ).fetchall()
    return {"missing" if value is None else f"{value:g}": n for value, n in found}


def _row_hash(data: DataPolicy) -> str:
    """MD5 of one row's text: every value is marked by its length or its kind, so that no two rows share a text."""
    values = [
        f"length({ID}), {ID}",
        f"epoch_us({EVENT_TIME})",
        f"coalesce(epoch_us({LABEL_TIME})::VARCHAR, '-')",
        *(f"coalesce({quoted(name)}::VARCHAR, '-')" for name in (data.label, *sorted(data.features))),
    ]
    return f"md5(concat_ws('|', {', '.join(values)}))"


def _number(name: str) -> str:
    """The column as a double; NaN and what is no number are missing values like NULL."""
    value = f"TRY_CAST({quoted(name)} AS DOUBLE)"
    return f"CASE WHEN NOT isnan({value}) THEN {value} END"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def moment(at: datetime) -> str:
    return f"TIMESTAMPTZ '{at:%Y-%m-%d %H:%M:%S.%f}+00'"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
