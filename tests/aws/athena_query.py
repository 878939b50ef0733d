"""A query in Athena's dialect, read by sqlglot and run by DuckDB."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.aws.athena_tables import QueryFailed, find_table, make_view, pruned, scanned

_UNLOAD = re.compile(
    r"\s*UNLOAD\s*\((?P<query>.*)\)\s*TO\s*'(?P<to>s3://[^']+)'\s*WITH\s*\((?P<how>[^)]*)\)\s*;?\s*", re.IGNORECASE | re.DOTALL
)
_PROPERTY = re.compile(r"\s*(\w+)\s*=\s*'(\w+)'\s*")
_KNOWN = {"format": {"PARQUET"}, "compression": {"SNAPPY", "ZSTD", "GZIP"}}
_FILE_ROWS = 500
"""Rows of one file: UNLOAD writes several, in no order."""
_MACROS = (
    "CREATE MACRO from_iso8601_timestamp_nanos(t) AS CAST(t AS TIMESTAMPTZ)",
    "CREATE MACRO to_unixtime(t) AS epoch_us(t) / 1e6",
)
_MISSING = re.compile(r'Referenced column "([^"]+)" not found|does not have a column named "([^"]+)"')


@dataclass(frozen=True)
class Unload:
    query: str
    destination: str


@dataclass(frozen=True)
class Result:
    names: list[str]
    types: list[str]
    rows: list[list[Any]]
    scanned: int
    table: pa.Table | None

    def parquet(self) -> Iterator[bytes]:
        """Files as UNLOAD writes them; none for no rows."""
        assert self.table is not None
        for start in range(0, self.table.num_rows, _FILE_ROWS):
            sink = io.BytesIO()
            pq.write_table(self.table.slice(start, _FILE_ROWS), sink)
            yield sink.getvalue()


def unload_of(text: str) -> Unload | None:
    """None for a plain SELECT. Raises: QueryFailed."""
    found = _UNLOAD.fullmatch(text)
    if found is None:
        return None
    for each in found["how"].split(","):
        given = _PROPERTY.fullmatch(each)
        if given is None or given[2].upper() not in _KNOWN.get(given[1].lower(), set()):
            raise QueryFailed(f"NOT_SUPPORTED: Unsupported UNLOAD property: {each.strip()}")
    return Unload(found["query"], found["to"])


def run(text: str, catalog: Catalog) -> Result:
    """Raises: QueryFailed, with Athena's words."""
    try:
        query = sqlglot.parse_one(text, dialect="athena")
    except SqlglotError as error:
        raise QueryFailed(f"SYNTAX_ERROR: {str(error).splitlines()[0]}") from None
    if not isinstance(query, exp.Query):
        raise QueryFailed(f"NOT_SIMULATED: {type(query).__name__}")
    with duckdb.connect(config={"threads": 1}) as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for macro in _MACROS:
            engine.execute(macro)
        total = catalog.bind(engine, query)
        try:
            table = engine.execute(query.sql("duckdb")).to_arrow_table()
        except duckdb.Error as error:
            raise _failed(error) from None
    names = [name.lower() for name in table.column_names]
    table = table.rename_columns(names)
    rows = [list(row.values()) for row in table.slice(0, 10_000).to_pylist()]
    return Result(names, [_trino(field.type) for field in table.schema], rows, total, table)


@dataclass(frozen=True)
class Catalog:
    """Where table names are looked up."""

    region: str
    database: str
    cache: Path

    def bind(self, engine: duckdb.DuckDBPyConnection, query: exp.Expression) -> int:
        """Put a view in the place of every table; returns the bytes that are read."""
        inside = {cte.alias for cte in query.find_all(exp.CTE)}
        used = {column.name.lower() for column in query.find_all(exp.Column)}
        total = 0
        for number, node in enumerate(list(query.find_all(exp.Table))):
            if not node.db and node.name in inside:
                continue
            table = find_table(self.region, node.db or self.database, node.name, self.cache)
            select = node.find_ancestor(exp.Select)
            assert select is not None
            files = pruned(table, select)
            total += scanned(files, used)
            view = f"table_{number}"
            make_view(engine, view, table, files)
            node.replace(exp.to_table(view).as_(node.alias or node.name))
        return total


def _failed(error: duckdb.Error) -> QueryFailed:
    missing = _MISSING.search(str(error))
    if missing:
        name = missing[1] or missing[2]
        cannot = "cannot be resolved or requester is not authorized to access requested resources"
        return QueryFailed(f"COLUMN_NOT_FOUND: line 1:8: Column '{name}' {cannot}")
    return QueryFailed(f"SYNTAX_ERROR: {str(error).splitlines()[0]}")


def _trino(kind: pa.DataType) -> str:
    if pa.types.is_string(kind):
        return "varchar"
    if pa.types.is_integer(kind):
        return "bigint"
    return "double" if pa.types.is_floating(kind) else str(kind)
