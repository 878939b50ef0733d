"""Feature groups in the simulator: what is put is online at once, and in the offline store some minutes later."""

from typing import Any

import pyarrow.parquet as pq
import pytest
from pyarrow import BufferReader

from platforms.aws.calls import Aws
from platforms.errors import Conflict, Invalid, NotFound
from tests.aws.offline_store import OfflineStore
from tests.aws.simulator import Simulator
from tests.platforms.data_fixtures import hourly, until

RUNTIME = "sagemaker-featurestore-runtime"


@pytest.fixture
def group(aws: Aws) -> dict[str, Any]:
    return OfflineStore(aws).group(aws.settings.prefix, hourly(1).drop_columns(["hour"]), iceberg=False, online=True)


def _put(aws: Aws, group: dict[str, Any], **values: str) -> None:
    record = [{"FeatureName": name, "ValueAsString": value} for name, value in values.items()]
    aws.call(RUNTIME, "put_record", FeatureGroupName=group["FeatureGroupName"], Record=record)


def _online(aws: Aws, group: dict[str, Any], id_: str) -> dict[str, str]:
    found = aws.call(RUNTIME, "get_record", FeatureGroupName=group["FeatureGroupName"], RecordIdentifierValueAsString=id_)
    return {each["FeatureName"]: each["ValueAsString"] for each in found.get("Record", ())}


def test_online_the_record_with_the_latest_event_time_is_kept(aws: Aws, group: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_feature_store_PutRecord.html"""
    _put(aws, group, id="a", event_time="2012-01-02T00:00:00Z", temp="2.0")
    _put(aws, group, id="a", event_time="2012-01-01T00:00:00Z", temp="1.0")
    assert _online(aws, group, "a")["temp"] == "2.0"
    _put(aws, group, id="a", event_time="2012-01-02T00:00:00Z", temp="3.0")
    assert _online(aws, group, "a")["temp"] == "3.0"


def test_a_deleted_record_is_gone_online_unless_the_deletion_is_older(aws: Aws, group: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_feature_store_DeleteRecord.html"""
    name = group["FeatureGroupName"]
    _put(aws, group, id="a", event_time="2012-01-02T00:00:00Z")
    for moment, there in (("2012-01-01T00:00:00Z", True), ("2012-01-03T00:00:00Z", False)):
        aws.call(RUNTIME, "delete_record", FeatureGroupName=name, RecordIdentifierValueAsString="a", EventTime=moment)
        assert bool(_online(aws, group, "a")) == there


def test_many_records_are_read_at_once_and_what_is_not_there_is_left_out(aws: Aws, group: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_feature_store_BatchGetRecord.html"""
    _put(aws, group, id="a", event_time="2012-01-02T00:00:00Z", temp="2.0")
    asked = {
        "FeatureGroupName": group["FeatureGroupName"],
        "RecordIdentifiersValueAsString": ["a", "b"],
        "FeatureNames": ["temp"],
    }
    found = aws.call(RUNTIME, "batch_get_record", Identifiers=[asked])
    assert [each["Record"] for each in found["Records"]] == [[{"FeatureName": "temp", "ValueAsString": "2.0"}]]
    assert (found["Errors"], found["UnprocessedIdentifiers"]) == ([], [])


def test_within_minutes_every_version_is_in_the_offline_store_by_the_hour_of_its_event(
    aws: Aws, group: dict[str, Any], simulator: Simulator
) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store-offline.html"""
    _put(aws, group, id="a", event_time="2012-01-02T05:30:00Z", temp="2.0")
    name = group["FeatureGroupName"]
    aws.call(RUNTIME, "delete_record", FeatureGroupName=name, RecordIdentifierValueAsString="a", EventTime="2012-01-02T05:40:00Z")
    simulator.advance(15 * 60)
    bucket, _, folder = group["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"].removeprefix("s3://").partition("/")
    s3, under = aws.client("s3"), {"Bucket": bucket, "Prefix": f"{folder}/year=2012/month=01/day=02/hour=05/"}
    until(lambda: s3.list_objects_v2(**under)["KeyCount"] == 1)
    key = s3.list_objects_v2(**under)["Contents"][0]["Key"]
    rows = pq.read_table(BufferReader(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
    assert rows["is_deleted"].to_pylist() == [False, True]
    assert rows["temp"].to_pylist() == [2.0, None]
    assert all(a <= w for a, w in zip(rows["api_invocation_time"].to_pylist(), rows["write_time"].to_pylist(), strict=True))


def test_what_can_not_be_right_is_refused(aws: Aws, group: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="event_time is missing"):
        _put(aws, group, id="a")
    with pytest.raises(Invalid, match="does not match feature group schema: rain"):
        _put(aws, group, id="a", event_time="2012-01-02T00:00:00Z", rain="1")
    with pytest.raises(Invalid, match="not of the supported formats"):
        _put(aws, group, id="a", event_time="yesterday")
    with pytest.raises(NotFound):
        aws.call("sagemaker", "describe_feature_group", FeatureGroupName="nobody")
    again = ("FeatureGroupName", "RecordIdentifierFeatureName", "EventTimeFeatureName", "FeatureDefinitions")
    with pytest.raises(Conflict):
        aws.call("sagemaker", "create_feature_group", **{name: group[name] for name in again})
