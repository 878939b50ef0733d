"""Put your own rows into the embedded feature store.

  python -m platforms.local.ingest bikes rentals.csv --id hour_id --event-time start --label busy --label-delay 1h

Every row needs an id (the one that requests to the endpoint carry, so that labels find their predictions), the time of the
event, and, where it is known already, the label: 0 or 1, the number of a class from 0, or any number of a regression; name the
classes with --classes, and the label may be a name. Say when labels arrive: by a column with their time, or by a delay
after the event. Rows without a label may come first; append them again under the same id when the label is there.
Times without a zone are taken as UTC. Features must be numbers: write categories as codes.
"""

import argparse
import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from contracts.base import Duration
from platforms.errors import Invalid, NotFound, PlatformError
from platforms.local.feature_store import LocalFeatureStore
from platforms.tabular.columns import EVENT_TIME, ID, LABEL_TIME, RESERVED, TIMESTAMP

OK, REFUSED = 0, 2


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when the rows are in, 2 when they were refused; nothing is half in then."""
    chosen = _parser().parse_args(arguments)
    try:
        rows = prepared(read_rows(chosen.file), chosen)
        appended = LocalFeatureStore(chosen.home).append(chosen.table, rows)
    except PlatformError as error:
        print(f"ingest: {error}", file=sys.stderr)  # noqa: T201 - a command line's own output
        return REFUSED
    print(_summary(chosen, rows, appended))  # noqa: T201 - as above
    return OK


def read_rows(path: Path) -> pa.Table:
    """A CSV or Parquet file. Raises: NotFound, Invalid."""
    if not path.is_file():
        raise NotFound(f"{path} is not a file")
    try:
        if path.suffix == ".csv":
            return pa_csv.read_csv(path)
        if path.suffix in (".parquet", ".pq"):
            return pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise Invalid(f"{path} can't be read as {path.suffix[1:]}: {str(error).splitlines()[0]}") from None
    raise Invalid(f"{path} is neither .csv nor .parquet")


def prepared(rows: pa.Table, chosen: argparse.Namespace) -> pa.Table:
    """The file's columns under the store's names. Raises: Invalid, NotFound."""
    special = {chosen.id, chosen.event_time, chosen.label, chosen.label_time} - {None}
    features = chosen.features or [name for name in rows.column_names if name not in special]
    _check_columns(rows, [*special, *features], chosen.file)
    if clash := [name for name in (*features, chosen.label) if name.lower() in RESERVED]:
        raise Invalid(f"{', '.join(clash)} can't be a feature or label: rename the column, or leave it out with --features")
    event_time, label = _times(rows, chosen.event_time), _labels(rows, chosen)
    columns = {
        ID: rows[chosen.id].cast(pa.string()),
        EVENT_TIME: event_time,
        LABEL_TIME: _label_times(label, rows, event_time, chosen),
    }
    columns[chosen.label] = label
    return pa.table(columns | {name: rows[name] for name in features})


def _labels(rows: pa.Table, chosen: argparse.Namespace) -> pa.ChunkedArray:
    """Numbers, or with --classes the places of the names in that list; null where there is no label. Raises: Invalid."""
    column = rows[chosen.label]
    if not chosen.classes or not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    names = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    found = pc.index_in(names, value_set=pa.array(chosen.classes, column.type))
    if lost := sorted(set(names.filter(pc.and_(pc.is_valid(names), pc.is_null(found))).to_pylist())):
        raise Invalid(f"column {chosen.label!r} holds {', '.join(map(repr, lost[:5]))}, which --classes doesn't name")
    return found.cast(pa.float64())


def _check_columns(rows: pa.Table, wanted: list[str], path: Path) -> None:
    if missing := [name for name in wanted if name not in rows.column_names]:
        raise NotFound(f"{path} has no column {', '.join(missing)}; there are: {', '.join(rows.column_names)}")


def _label_times(
    label: pa.ChunkedArray, rows: pa.Table, event_time: pa.ChunkedArray, chosen: argparse.Namespace
) -> pa.ChunkedArray:
    """When each label arrived; null where there is no label."""
    if chosen.label_time is not None:
        arrived = _times(rows, chosen.label_time)
    else:
        arrived = pc.add(event_time, pa.scalar(chosen.label_delay, pa.duration("us")))
    return pc.if_else(pc.is_valid(label), arrived, pa.scalar(None, TIMESTAMP))


def _times(rows: pa.Table, name: str) -> pa.ChunkedArray:
    column = rows[name]
    if pa.types.is_string(column.type):
        zoned = pc.match_substring_regex(column, r"(Z|[+-]\d\d(:?\d\d)?)$")
        column = pc.if_else(zoned, column, pc.binary_join_element_wise(column, "Z", ""))
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"))
    try:
        return column.cast(TIMESTAMP, safe=False)
    except pa.ArrowException as error:
        why = str(error).splitlines()[0].split(": expected")[0]
        raise Invalid(f"column {name!r} holds no times ({why}): write them as 2024-03-31T08:00:00Z") from None


def _summary(chosen: argparse.Namespace, rows: pa.Table, appended: int) -> str:
    labelled = rows.num_rows - rows[LABEL_TIME].null_count
    span = pc.min_max(rows[EVENT_TIME])
    first, last = (str(span[end].as_py().isoformat()) if appended else None for end in ("min", "max"))
    features = [name for name in rows.column_names if name not in {ID, EVENT_TIME, LABEL_TIME, chosen.label}]
    if chosen.json:
        found = {"table": chosen.table, "rows": appended, "labelled": labelled, "first": first, "last": last}
        return json.dumps(found | {"label": chosen.label, "features": features})
    return "\n".join(
        [
            f"{appended} rows ({labelled} labelled) from {first} to {last} are in table {chosen.table!r}.",
            "In the fleet file:",
            f"    data: {{table: {chosen.table}, label: {chosen.label}, {_task(chosen)}features: [{', '.join(features)}]}}",
        ]
    )


def _task(chosen: argparse.Namespace) -> str:
    """What the fleet file has to say of many classes."""
    return f"task: multiclass, classes: [{', '.join(chosen.classes)}], " if chosen.classes else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m platforms.local.ingest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("table", help="table of the feature store; created when it isn't there")
    add("file", type=Path, help="a .csv or .parquet file")
    add("--id", required=True, metavar="COL", help="column that names the row, once in the file")
    add("--event-time", required=True, metavar="COL", help="column with the time of the event")
    add("--label", required=True, metavar="COL", help="column with the label; empty where it is not known yet")
    add("--classes", type=_names, default=[], metavar="A,B,C", help="names of the classes, in the order of their numbers from 0")
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--label-time", metavar="COL", help="column with the time at which the label became known")
    when.add_argument("--label-delay", type=_delay, metavar="TIME", help="or: how long after the event it does: 15m, 1h, 2d")
    add("--features", type=_names, metavar="A,B", help="feature columns; all others of the file unless told")
    home = Path(os.environ.get("HOMEOSTAT_HOME", "var"))
    add("--home", type=Path, default=home, help="folder of all local state; HOMEOSTAT_HOME, else var")
    add("--json", action="store_true", help="print one JSON object")
    return parser


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _delay(text: str) -> timedelta:
    try:
        return TypeAdapter[timedelta](Duration).validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 15m, 1h or 2d") from None


if __name__ == "__main__":
    sys.exit(main())
