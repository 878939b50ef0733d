"""Tables of the simulated Athena: found in Glue, their partitions pruned, their files read from the simulated S3."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow.parquet as pq
from moto.core.exceptions import JsonRESTError
from moto.glue.models import glue_backends
from sqlglot import exp

from tests.aws.bucket_objects import listed, split
from tests.aws.world import ACCOUNT

_TYPES = {"string": "VARCHAR", "int": "INTEGER", "float": "REAL", "timestamp": "TIMESTAMP"}


class QueryFailed(Exception):
    """The message is the execution's StateChangeReason."""


@dataclass(frozen=True)
class File:
    uri: str
    path: Path
    values: tuple[str, ...]
    """Of the partition keys."""


@dataclass(frozen=True)
class Table:
    """One table of the catalogue with the files of all its partitions."""

    database: str
    name: str
    columns: dict[str, str]
    keys: tuple[str, ...]
    files: tuple[File, ...]

    @property
    def all_types(self) -> dict[str, str]:
        return {**self.columns, **dict.fromkeys(self.keys, "VARCHAR")}


def find_table(region: str, database: str, name: str, cache: Path) -> Table:
    """Raises: QueryFailed."""
    glue = glue_backends[ACCOUNT][region]
    try:
        found = glue.get_table(database.lower(), name.lower())
    except JsonRESTError:
        missing = f"Table 'awsdatacatalog.{database}.{name}' does not exist"
        raise QueryFailed(f"TABLE_NOT_FOUND: line 1:15: {missing}") from None
    made = found.versions[str(found._current_version)]
    keys = tuple(each["Name"] for each in made.get("PartitionKeys") or ())
    columns = {each["Name"]: _type(each["Type"]) for each in made["StorageDescriptor"]["Columns"]}
    location = made["StorageDescriptor"]["Location"].rstrip("/") + "/"
    managed = (made.get("Parameters") or {}).get("sim.managed") == "true"
    files = _hive(location, keys, cache) if managed or not keys else _registered(found, cache)
    return Table(database, name, columns, keys, tuple(files))


def _type(glue: str) -> str:
    """Glue's name of a type as DuckDB's."""
    return _TYPES.get(glue.lower(), glue.upper())


def _hive(location: str, keys: Sequence[str], cache: Path) -> Iterator[File]:
    """Files under `k=v/` folders, as Feature Store registers them itself; without keys, all files."""
    for uri, path in _cached(location, cache):
        parts = dict(part.split("=", 1) for part in uri.removeprefix(location).split("/")[:-1] if "=" in part)
        if set(keys) <= set(parts):
            yield File(uri, path, tuple(unquote(parts[key]) for key in keys))


def _registered(found: Any, cache: Path) -> Iterator[File]:
    """Only partitions that the catalogue knows are read: https://docs.aws.amazon.com/athena/latest/ug/partitions.html."""
    for partition in found.partitions.values():
        input_ = partition.partition_input
        location = input_["StorageDescriptor"]["Location"].rstrip("/") + "/"
        for uri, path in _cached(location, cache):
            yield File(uri, path, tuple(input_["Values"]))


def _cached(location: str, cache: Path) -> Iterator[tuple[str, Path]]:
    bucket, _ = split(location)
    for key in listed(location):
        if key.name.rpartition("/")[2].startswith((".", "_")):
            continue
        path = cache / f"{key.etag.strip(chr(34))}.parquet"
        if not path.exists():
            content = key.value
            if content[:4] != b"PAR1":
                raise QueryFailed(f"HIVE_BAD_DATA: Not valid Parquet file: s3://{bucket}/{key.name}")
            path.write_bytes(content)
        yield f"s3://{bucket}/{key.name}", path


def pruned(table: Table, select: exp.Select) -> tuple[File, ...]:
    """Files of the partitions that the conditions on partition keys alone let through."""
    where = select.args.get("where")
    if where is None or not table.keys:
        return table.files
    wanted = [
        each
        for each in (where.this.flatten() if isinstance(where.this, exp.And) else [where.this])
        if (names := {column.name for column in each.find_all(exp.Column)}) and names <= set(table.keys)
    ]
    if not wanted:
        return table.files
    kept = []
    with duckdb.connect() as database:
        for values in {file.values for file in table.files}:
            row = ", ".join(f"'{value}' AS \"{key}\"" for key, value in zip(table.keys, values, strict=True))
            conditions = " AND ".join(f"({each.sql('duckdb')})" for each in wanted)
            if database.execute(f"SELECT 1 FROM (SELECT {row}) WHERE {conditions}").fetchone():
                kept.append(values)
    return tuple(file for file in table.files if file.values in kept)


def scanned(files: Sequence[File], columns: set[str]) -> int:
    """Bytes of the columns that are read: Parquet is columnar, and Athena bills what it reads."""
    total = 0
    for file in files:
        metadata = pq.read_metadata(io.BytesIO(file.path.read_bytes()))
        for group in range(metadata.num_row_groups):
            chunks = (metadata.row_group(group).column(place) for place in range(metadata.num_columns))
            total += sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema.lower() in columns)
    return total


def make_view(database: duckdb.DuckDBPyConnection, view: str, table: Table, files: Sequence[File]) -> None:
    """The table as the catalogue types it; a column that a file lacks is NULL."""
    if not files:
        nothing = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in table.all_types.items())
        database.execute(f'CREATE VIEW "{view}" AS SELECT {nothing} WHERE false')
        return
    paths = sorted({str(file.path) for file in files})
    listing = ", ".join(f"'{path}'" for path in paths)
    there = {
        row[0].lower()
        for row in database.execute(f"DESCRIBE SELECT * FROM read_parquet([{listing}], union_by_name=true)").fetchall()
    }
    columns = [
        f'CAST(r."{name}" AS {kind}) AS "{name}"' if name in there else f'CAST(NULL AS {kind}) AS "{name}"'
        for name, kind in table.columns.items()
    ]
    if not table.keys:
        database.execute(
            f'CREATE VIEW "{view}" AS SELECT {", ".join(columns)} FROM read_parquet([{listing}], union_by_name=true) r'
        )
        return
    rows = ", ".join("(" + ", ".join(f"'{value}'" for value in (str(file.path), *file.values)) + ")" for file in files)
    keys = ", ".join(f'"{key}"' for key in table.keys)
    columns += [f'p."{key}"' for key in table.keys]
    database.execute(
        f'CREATE VIEW "{view}" AS SELECT {", ".join(columns)} '
        f"FROM read_parquet([{listing}], union_by_name=true, filename=true) r "
        f"JOIN (VALUES {rows}) p(_file, {keys}) ON r.filename = p._file"
    )
