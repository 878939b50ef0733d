"""Which columns of a table on AWS are id, event time, label time and version: read from Feature Store or from Glue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.snapshot import DataPolicy
from platforms.aws.calls import Aws
from platforms.errors import Invalid, NotFound
from platforms.tabular.columns import EVENT_TIME, ID, LABEL_TIME, VERSION
from platforms.tabular.feature_query import check_names

WRITE_TIME: Final = "write_time"
INVOKED: Final = "api_invocation_time"
DELETED: Final = "is_deleted"
_GLUE_PARTITIONS: Final = ("year", "month", "day", "hour")
_FEATURE_TYPES: Final = {"Fractional": "double", "Integral": "bigint", "String": "string"}
_NUMBERS: Final = frozenset({"double", "float", "real", "int", "integer", "bigint", "smallint", "tinyint", "boolean", "decimal"})
_MOST_NAMED: Final = 20


@dataclass(frozen=True)
class TableShape:
    """A table as the as-of query reads it; column names in lower case, as Athena has them."""

    source: str
    database: str
    table: str
    types: Mapping[str, str]
    """Glue's type of each column, partition keys left out."""
    id: str
    event_time: str
    label_time: str | None
    """None: a label's time is when its version was written."""
    version: tuple[str, ...]
    """Columns that put the versions of a row in order, as far as the table has such."""
    written: str | None
    """Column of the time at which a version was written."""
    deleted: str | None
    partitions: tuple[str, ...]

    @property
    def columns(self) -> dict[str, str]:
        """Those that can be features or label."""
        own = {self.id, self.event_time, self.label_time, *self.version, self.written, self.deleted}
        return {name: kind for name, kind in self.types.items() if name not in own}


def shape_of(aws: Aws, data: DataPolicy) -> TableShape:
    """The table that the policy reads by Athena.

    Raises: NotFound (no such group, table or column), Invalid (a group without offline store, a name that can't be a feature).
    """
    kind, _, name = (data.source or f"feature-group:{aws.settings.feature_group_prefix}{data.table}").partition(":")
    shape = _of_group(aws, name, data) if kind == "feature-group" else _of_glue(aws, name)
    check_names(data)
    there = {column.lower() for column in shape.columns}
    if missing := [column for column in (*data.features, data.label) if column.lower() not in there]:
        raise NotFound(f"table {data.table!r} has no column {', '.join(missing)}; there are: {', '.join(shape.columns)}")
    if clash := [column for column in (*data.features, data.label) if column.lower() in shape.partitions]:
        raise Invalid(
            f"{', '.join(clash)} is a partition key of table {shape.table!r}, too: rename the column, or keep the "
            "feature group's offline store in the Iceberg format"
        )
    return shape


def no_numbers(shape: TableShape, data: DataPolicy) -> dict[str, str]:
    """The features that hold no numbers, with their type, as the coverage findings name it."""
    found = {name: shape.types[name.lower()].partition("(")[0] for name in data.features}
    return {name: "VARCHAR" if kind == "string" else kind.upper() for name, kind in found.items() if kind not in _NUMBERS}


def group_of(aws: Aws, name: str, data: DataPolicy) -> dict[str, Any]:
    """The feature group as SageMaker describes it. Raises: NotFound, with the groups there are."""
    try:
        found = aws.call("sagemaker", "describe_feature_group", FeatureGroupName=name)
        more = found.get("NextToken")
        while more:
            page = aws.call("sagemaker", "describe_feature_group", FeatureGroupName=name, NextToken=more)
            found["FeatureDefinitions"] += page["FeatureDefinitions"]
            more = page.get("NextToken")
    except NotFound:
        prefix = aws.settings.feature_group_prefix
        pages = aws.pages("sagemaker", "list_feature_groups", **({"NameContains": prefix} if prefix else {}))
        names = [str(each["FeatureGroupName"]) for page in pages for each in page["FeatureGroupSummaries"]]
        there = sorted(each.removeprefix(prefix) for each in names if each.startswith(prefix))[:_MOST_NAMED]
        said = f"no table {data.table!r} in the feature store: there is no feature group {name!r}"
        raise NotFound(f"{said}; there are: {', '.join(there) or 'none'}") from None
    return found


def _of_group(aws: Aws, name: str, data: DataPolicy) -> TableShape:
    group = group_of(aws, name, data)
    offline = group.get("OfflineStoreConfig") or {}
    if "DataCatalogConfig" not in offline:
        raise Invalid(
            f"feature group {name!r} has no offline store with a Glue table: create it with one, or name another data.source"
        )
    types = {str(each["FeatureName"]).lower(): _FEATURE_TYPES[each["FeatureType"]] for each in group["FeatureDefinitions"]}
    added = {WRITE_TIME: "timestamp", INVOKED: "timestamp", DELETED: "boolean"}
    return TableShape(
        source=f"feature-group:{name}",
        database=str(offline["DataCatalogConfig"]["Database"]),
        table=str(offline["DataCatalogConfig"]["TableName"]),
        types=types | added,
        id=str(group["RecordIdentifierFeatureName"]).lower(),
        event_time=str(group["EventTimeFeatureName"]).lower(),
        label_time=LABEL_TIME if LABEL_TIME in types else None,
        version=(WRITE_TIME, INVOKED),
        written=WRITE_TIME,
        deleted=DELETED,
        partitions=() if offline.get("TableFormat") == "Iceberg" else _GLUE_PARTITIONS,
    )


def _of_glue(aws: Aws, name: str) -> TableShape:
    database, _, table = name.partition(".")
    try:
        found = aws.call("glue", "get_table", DatabaseName=database, Name=table)["Table"]
    except NotFound as missing:
        raise NotFound(f"no table {table!r} in the Glue database {database!r}: {missing}") from None
    types = {str(each["Name"]).lower(): str(each["Type"]).lower() for each in found["StorageDescriptor"]["Columns"]}
    if missing_columns := [column for column in (ID, EVENT_TIME) if column not in types]:
        raise NotFound(f"table {name!r} has no column {', '.join(missing_columns)}; there are: {', '.join(types)}")
    if LABEL_TIME not in types and WRITE_TIME not in types:
        raise NotFound(f"table {name!r} has neither {LABEL_TIME} nor {WRITE_TIME}, so nobody knows when a label arrived")
    return TableShape(
        source=f"glue:{name}",
        database=database,
        table=table,
        types=types,
        id=ID,
        event_time=EVENT_TIME,
        label_time=LABEL_TIME if LABEL_TIME in types else None,
        version=tuple(column for column in (WRITE_TIME, INVOKED, VERSION) if column in types),
        written=WRITE_TIME if WRITE_TIME in types else None,
        deleted=DELETED if DELETED in types else None,
        partitions=tuple(str(each["Name"]).lower() for each in found.get("PartitionKeys") or ()),
    )
