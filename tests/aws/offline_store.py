"""Rows in a feature group's offline store, as they lie there long after they were put: with the times at which they were written."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from secrets import token_hex
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from platforms.aws.calls import Aws
from platforms.errors import NotFound

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_TEXTS = ("id", "event_time", "label_time")


class OfflineStore:
    """Groups called like the tables, behind the account's prefix; one file for each append, in the Iceberg format."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._versions = count()

    def append(self, table: str, rows: pa.Table, *, written: Sequence[datetime] | None = None) -> None:
        """Versions of rows; without `written` they were written long ago, each append after the one before."""
        if rows.num_rows == 0:
            return
        location = self._location(table, rows)
        version = LONG_AGO + timedelta(seconds=next(self._versions))
        at = list(written) if written is not None else [version] * rows.num_rows
        self.put(f"{location}/{token_hex(8)}.parquet", stored(rows, at))

    def group(self, table: str, rows: pa.Table, *, iceberg: bool = True, online: bool = False) -> dict[str, Any]:
        """The group, made where there is none; returns its description."""
        name = f"{self._aws.settings.feature_group_prefix}{table}"
        try:
            return self._aws.call("sagemaker", "describe_feature_group", FeatureGroupName=name)
        except NotFound:
            kinds = {name: "String" if name in _TEXTS else "Fractional" for name in rows.column_names}
            self._aws.call(
                "sagemaker",
                "create_feature_group",
                FeatureGroupName=name,
                RecordIdentifierFeatureName="id",
                EventTimeFeatureName="event_time",
                FeatureDefinitions=[{"FeatureName": each, "FeatureType": kind} for each, kind in kinds.items()],
                OfflineStoreConfig={
                    "S3StorageConfig": {"S3Uri": f"s3://{self._aws.settings.bucket}/store"},
                    "TableFormat": "Iceberg" if iceberg else "Glue",
                },
                OnlineStoreConfig={"EnableOnlineStore": online},
                RoleArn=self._aws.settings.role,
            )
            return self._aws.call("sagemaker", "describe_feature_group", FeatureGroupName=name)

    def put(self, uri: str, content: bytes) -> None:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self._aws.call("s3", "put_object", Bucket=bucket, Key=key, Body=content)

    def _location(self, table: str, rows: pa.Table) -> str:
        return str(self.group(table, rows)["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"])


def stored(rows: pa.Table, written: Sequence[datetime], deleted: Sequence[bool] | None = None) -> bytes:
    """The rows as Feature Store writes them."""
    columns = {}
    for name in rows.column_names:
        column = rows[name]
        if pa.types.is_timestamp(column.type):
            column = pc.strftime(column.cast(pa.timestamp("us", "UTC")), format="%Y-%m-%dT%H:%M:%SZ")
        columns[name] = column.cast(pa.string() if name in _TEXTS else pa.float64())
    times = pa.array([moment.replace(tzinfo=None) for moment in written], pa.timestamp("us"))
    columns |= {"write_time": times, "api_invocation_time": times}
    columns["is_deleted"] = pa.array(deleted if deleted is not None else [False] * rows.num_rows)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()
