"""SageMaker Feature Store: groups, an online store, and an offline store that is written some minutes later.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store-offline.html (layout, the three added columns, 'within 15
minutes'), https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_feature_store_PutRecord.html and API_feature_store_DeleteRecord.html
(of two records the one with the later event time is kept online), API_CreateFeatureGroup.html (types, names).
"""

import io
import re
import secrets
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from moto.core.exceptions import JsonRESTError
from moto.glue.models import glue_backends

from tests.aws.bucket_objects import there, write
from tests.aws.calls import Call, Refusal
from tests.aws.world import ACCOUNT, World

FLUSH_SECONDS = 240.0
_NAME = re.compile(r"[a-zA-Z0-9](?:[_-]*[a-zA-Z0-9]){0,63}")
_TYPES = {"Fractional": ("double", pa.float64()), "Integral": ("bigint", pa.int64()), "String": ("string", pa.string())}
_TIME = pa.timestamp("ms")
_ADDED = (("write_time", "timestamp"), ("api_invocation_time", "timestamp"), ("is_deleted", "boolean"))
PARTITIONS = ("year", "month", "day", "hour")
Record = dict[str, str]


@dataclass
class Group:
    asked: dict[str, Any]
    made: datetime
    region: str
    status: str = "Creating"
    online: dict[str, Record] = field(default_factory=dict)
    buried: dict[str, datetime] = field(default_factory=dict)
    """Event times of deletions."""
    waiting: list[tuple[Record, datetime, bool]] = field(default_factory=list)
    """Record, invocation, deletion: what the offline store has not got yet."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        return str(self.asked["FeatureGroupName"])

    @property
    def offline(self) -> dict[str, Any]:
        return dict(self.asked.get("OfflineStoreConfig") or {})

    @property
    def types(self) -> dict[str, str]:
        return {each["FeatureName"]: each["FeatureType"] for each in self.asked["FeatureDefinitions"]}

    @property
    def location(self) -> str:
        base = self.offline["S3StorageConfig"]["S3Uri"].rstrip("/")
        return f"{base}/{ACCOUNT}/sagemaker/{self.region}/offline-store/{self.name}-{self.made:%s}/data"

    @property
    def catalog(self) -> dict[str, str]:
        table = f"{self.name.replace('-', '_').lower()}_{self.made:%s}"
        return {"TableName": table, "Catalog": "AwsDataCatalog", "Database": "sagemaker_featurestore"}

    @property
    def iceberg(self) -> bool:
        return bool(self.offline.get("TableFormat") == "Iceberg")

    def described(self) -> dict[str, Any]:
        found = {key: value for key, value in self.asked.items() if key not in {"Tags", "OfflineStoreConfig"}}
        if self.offline:
            stored = {**self.offline["S3StorageConfig"], "ResolvedOutputS3Uri": self.location}
            found["OfflineStoreConfig"] = {**self.offline, "S3StorageConfig": stored, "DataCatalogConfig": self.catalog}
        return {
            **found,
            "FeatureGroupArn": f"arn:aws:sagemaker:{self.region}:{ACCOUNT}:feature-group/{self.name}",
            "CreationTime": self.made,
            "FeatureGroupStatus": self.status,
        }


def install(world: World) -> None:
    groups: dict[str, Group] = {}

    def known(name: str) -> Group:
        found = groups.get(name.rpartition("/")[2])
        if found is None:
            raise Refusal("ResourceNotFound", f"Resource Not Found: Amazon SageMaker can't find a FeatureGroup with name {name}")
        return found

    @world.operation("sagemaker", "CreateFeatureGroup")
    def create(call: Call) -> dict[str, Any]:
        group = Group(call.params, world.now(), call.region)
        _check(group, groups)
        groups[group.name] = group
        if group.offline:
            _catalogue(group)
        world.later(5, lambda: setattr(group, "status", "Created"))
        return {"FeatureGroupArn": group.described()["FeatureGroupArn"]}

    @world.operation("sagemaker", "DescribeFeatureGroup")
    def describe(call: Call) -> dict[str, Any]:
        return known(call.params["FeatureGroupName"]).described()

    @world.operation("sagemaker", "ListFeatureGroups")
    def listing(call: Call) -> dict[str, Any]:
        wanted = call.params.get("NameContains", "")
        names = sorted(name for name in groups if wanted in name)
        start = int(call.params.get("NextToken") or 0)
        page = names[start : start + int(call.params.get("MaxResults") or 100)]
        more = {"NextToken": str(start + len(page))} if start + len(page) < len(names) else {}
        found = [groups[name].described() for name in page]
        kept = ("FeatureGroupName", "FeatureGroupArn", "CreationTime", "FeatureGroupStatus")
        return {"FeatureGroupSummaries": [{key: each[key] for key in kept} for each in found], **more}

    @world.operation("sagemaker", "DeleteFeatureGroup")
    def delete(call: Call) -> None:
        known(call.params["FeatureGroupName"])
        groups.pop(call.params["FeatureGroupName"])

    _records(world, known)
    world.every(FLUSH_SECONDS, lambda: [_flush(world, group) for group in list(groups.values())])


def _records(world: World, known: Any) -> None:
    service = "sagemaker-featurestore-runtime"

    @world.operation(service, "PutRecord")
    def put(call: Call) -> None:
        group = known(call.params["FeatureGroupName"])
        record = {each["FeatureName"]: each["ValueAsString"] for each in call.params["Record"]}
        _check_record(group, record)
        stores = call.params.get("TargetStores") or ["OnlineStore", "OfflineStore"]
        _take(group, record, world.now(), stores)

    @world.operation(service, "GetRecord")
    def get(call: Call) -> dict[str, Any]:
        group = known(call.params["FeatureGroupName"])
        record = group.online.get(call.params["RecordIdentifierValueAsString"])
        return {"Record": _listed(record)} if record else {}

    @world.operation(service, "BatchGetRecord")
    def batch(call: Call) -> dict[str, Any]:
        found = []
        for asked in call.params["Identifiers"]:
            group = known(asked["FeatureGroupName"])
            for value in asked["RecordIdentifiersValueAsString"]:
                if value in group.online:
                    names = asked.get("FeatureNames")
                    kept = {k: v for k, v in group.online[value].items() if not names or k in names}
                    head = {"FeatureGroupName": asked["FeatureGroupName"], "RecordIdentifierValueAsString": value}
                    found.append({**head, "Record": _listed(kept)})
        return {"Records": found, "Errors": [], "UnprocessedIdentifiers": []}

    @world.operation(service, "DeleteRecord")
    def delete(call: Call) -> None:
        group = known(call.params["FeatureGroupName"])
        names = group.asked["RecordIdentifierFeatureName"], group.asked["EventTimeFeatureName"]
        record = dict(zip(names, (call.params["RecordIdentifierValueAsString"], call.params["EventTime"]), strict=True))
        _bury(group, record, world.now())


def _check(group: Group, groups: dict[str, Group]) -> None:
    asked = group.asked
    if not _NAME.fullmatch(group.name):
        raise Refusal("ValidationException", f"Value '{group.name}' at 'featureGroupName' failed to satisfy constraint")
    if group.name in groups:
        raise Refusal("ResourceInUse", f"Resource Already Exists: FeatureGroup with name {group.name} already exists")
    for role in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if asked[role] not in group.types:
            raise Refusal("ValidationException", f"{role} {asked[role]} does not exist in FeatureDefinitions")
    if group.offline and not group.iceberg and (clash := set(PARTITIONS) & {name.lower() for name in group.types}):
        said = (
            f"a feature group with {', '.join(map(repr, sorted(clash)))} among its features in the Glue format is not simulated"
        )
        raise Refusal("NotSimulated", said)
    if group.offline and not there(group.offline["S3StorageConfig"]["S3Uri"]):
        raise Refusal("ValidationException", f"Invalid S3Uri provided: {group.offline['S3StorageConfig']['S3Uri']}")


def _check_record(group: Group, record: Record) -> None:
    for role in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if group.asked[role] not in record:
            raise Refusal("ValidationError", f"Validating FeatureValues failed: {group.asked[role]} is missing")
    if strange := sorted(set(record) - set(group.types)):
        raise Refusal("ValidationError", f"Record does not match feature group schema: {', '.join(strange)}")


def _take(group: Group, record: Record, now: datetime, stores: list[str]) -> None:
    identity, at = record[group.asked["RecordIdentifierFeatureName"]], event_time(group, record)
    with group.lock:
        if "OnlineStore" in stores and (group.asked.get("OnlineStoreConfig") or {}).get("EnableOnlineStore"):
            there_now = group.online.get(identity)
            newest = event_time(group, there_now) if there_now else group.buried.get(identity)
            if newest is None or at >= newest:
                group.online[identity] = record
        if "OfflineStore" in stores and group.offline:
            group.waiting.append((record, now, False))


def _bury(group: Group, record: Record, now: datetime) -> None:
    identity, at = record[group.asked["RecordIdentifierFeatureName"]], event_time(group, record)
    with group.lock:
        there_now = group.online.get(identity)
        if there_now is None or at > event_time(group, there_now):
            group.online.pop(identity, None)
            group.buried[identity] = at
        if group.offline:
            group.waiting.append((record, now, True))


def event_time(group: Group, record: Record) -> datetime:
    """Unix seconds, or ISO 8601. Raises: Refusal."""
    text = record[group.asked["EventTimeFeatureName"]]
    try:
        if group.types[group.asked["EventTimeFeatureName"]] == "String":
            return datetime.fromisoformat(text).astimezone(UTC)
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError):
        raise Refusal("ValidationError", f"EventTime {text!r} is not of the supported formats") from None


def _listed(record: Record) -> list[dict[str, str]]:
    return [{"FeatureName": name, "ValueAsString": value} for name, value in record.items()]


def _catalogue(group: Group) -> None:
    """The Glue table that the service makes."""
    glue, named = glue_backends[ACCOUNT][group.region], group.catalog
    columns = [{"Name": name.lower(), "Type": _TYPES[kind][0]} for name, kind in group.types.items()]
    columns += [{"Name": name, "Type": kind} for name, kind in _ADDED]
    keys = [] if group.iceberg else [{"Name": name, "Type": "string"} for name in PARTITIONS]
    try:
        glue.get_database(named["Database"])
    except JsonRESTError:
        glue.create_database(named["Database"], {"Name": named["Database"]}, None)
    made = {
        "Name": named["TableName"],
        "StorageDescriptor": {"Location": group.location, "Columns": columns},
        "PartitionKeys": keys,
        "Parameters": {"sim.managed": "true", **({"table_type": "ICEBERG"} if group.iceberg else {})},
    }
    glue.create_table(named["Database"], named["TableName"], made)


def _flush(world: World, group: Group) -> None:
    """Write what waits as Parquet, one file for each hour of the events."""
    with group.lock:
        waiting, group.waiting = group.waiting, []
    now, hours = world.now(), defaultdict(list)
    for record, invoked, gone in waiting:
        hours[event_time(group, record).replace(minute=0, second=0, microsecond=0)].append((record, invoked, gone))
    for hour, records in hours.items():
        folder = "/".join(f"{name}={hour:{form}}" for name, form in zip(PARTITIONS, ("%Y", "%m", "%d", "%H"), strict=True))
        latest = max(event_time(group, record) for record, _, _ in records)
        where = f"{group.location}/{folder}/" if not group.iceberg else f"{group.location}/"
        write(f"{where}{latest:%Y%m%dT%H%M%SZ}_{secrets.token_hex(8)}.parquet", _parquet(group, records, now))


def _parquet(group: Group, records: list[tuple[Record, datetime, bool]], now: datetime) -> bytes:
    columns: dict[str, pa.Array] = {}
    for name, kind in group.types.items():
        values = [record.get(name) for record, _, _ in records]
        cast = {"Fractional": float, "Integral": int, "String": str}[kind]
        columns[name.lower()] = pa.array([None if v is None else cast(v) for v in values], _TYPES[kind][1])
    plain = [invoked.replace(tzinfo=None) for _, invoked, _ in records]
    columns["write_time"] = pa.array([now.replace(tzinfo=None)] * len(records), pa.timestamp("us")).cast(_TIME, safe=False)
    columns["api_invocation_time"] = pa.array(plain, pa.timestamp("us")).cast(_TIME, safe=False)
    columns["is_deleted"] = pa.array([gone for _, _, gone in records])
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()
