"""Athena in the simulator: executions with states, tokens, real answers and real refusals."""

import time
from typing import Any

import pytest

from platforms.aws.calls import Aws
from platforms.errors import Invalid
from tests.aws.offline_store import OfflineStore
from tests.platforms.data_fixtures import hourly


def _start(aws: Aws, text: str, **more: Any) -> str:
    where = {"OutputLocation": f"s3://{aws.settings.bucket}/results/"}
    return str(
        aws.call("athena", "start_query_execution", QueryString=text, ResultConfiguration=where, **more)["QueryExecutionId"]
    )


def _seen(aws: Aws, id_: str) -> tuple[list[str], dict[str, Any]]:
    """Every state until the end, and the execution."""
    states: list[str] = []
    while True:
        found = aws.call("athena", "get_query_execution", QueryExecutionId=id_)["QueryExecution"]
        if found["Status"]["State"] not in states:
            states.append(found["Status"]["State"])
        if states[-1] in {"SUCCEEDED", "FAILED", "CANCELLED"}:
            return states, found
        time.sleep(0.01)


@pytest.fixture
def table(aws: Aws) -> str:
    offline = OfflineStore(aws)
    offline.append(f"{aws.settings.prefix}-rides", hourly(2))
    named = offline.group(f"{aws.settings.prefix}-rides", hourly(1))["OfflineStoreConfig"]["DataCatalogConfig"]
    return f'"{named["Database"]}"."{named["TableName"]}"'


def test_a_query_passes_its_states_and_tells_what_it_read(aws: Aws, table: str) -> None:
    """https://docs.aws.amazon.com/athena/latest/APIReference/API_QueryExecutionStatus.html"""
    states, found = _seen(aws, id_ := _start(aws, f"SELECT count(*) AS n, max(temp) AS t FROM {table} WHERE hour < 12"))
    passed = ["QUEUED", "RUNNING", "SUCCEEDED"]
    assert states == [state for state in passed if state in states], "in this order; a look may come too late for one"
    assert states[-1] == "SUCCEEDED"
    assert 0 < found["Statistics"]["DataScannedInBytes"] < 2000
    rows = aws.call("athena", "get_query_results", QueryExecutionId=id_)["ResultSet"]["Rows"]
    assert rows[0]["Data"] == [{"VarCharValue": "n"}, {"VarCharValue": "t"}]
    assert rows[1]["Data"][0] == {"VarCharValue": "24"}
    assert aws.client("s3").head_object(Bucket=aws.settings.bucket, Key=f"results/{id_}.csv")["ContentLength"] > 0


def test_a_token_stands_for_one_execution(aws: Aws, table: str) -> None:
    """https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html, ClientRequestToken"""
    text, token = f"SELECT count(*) FROM {table}", "t" * 32
    assert _start(aws, text, ClientRequestToken=token) == _start(aws, text, ClientRequestToken=token)
    with pytest.raises(Invalid, match="Idempotent parameters do not match"):
        _start(aws, f"{text} WHERE hour = 1", ClientRequestToken=token)


def test_an_unload_wants_an_empty_destination_and_names_its_files(aws: Aws, table: str) -> None:
    """https://docs.aws.amazon.com/athena/latest/ug/unload.html and troubleshooting-athena.html, HIVE_PATH_ALREADY_EXISTS"""
    to = f"s3://{aws.settings.bucket}/to/"
    text = f"UNLOAD (SELECT id FROM {table}) TO '{to}' WITH (format = 'PARQUET', compression = 'ZSTD')"
    _, found = _seen(aws, _start(aws, text))
    bucket, _, key = found["Statistics"]["DataManifestLocation"].removeprefix("s3://").partition("/")
    named = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode().split()
    there = aws.client("s3").list_objects_v2(Bucket=aws.settings.bucket, Prefix="to/")["Contents"]
    assert named == [f"s3://{aws.settings.bucket}/{each['Key']}" for each in there]
    states, found = _seen(aws, _start(aws, text))
    assert states[-1] == "FAILED"
    assert found["Status"]["StateChangeReason"].startswith("HIVE_PATH_ALREADY_EXISTS")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT x FROM no.such", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.no.such' does not exist"),
        ("SELECT x FROM {table}", "COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved"),
        ("SELEKT 1", "SYNTAX_ERROR"),
        ("UNLOAD (SELECT id FROM {table}) TO 's3://{bucket}/x/' WITH (format = 'CSV')", "NOT_SUPPORTED"),
    ],
)
def test_what_can_not_be_run_fails_with_the_reason(aws: Aws, table: str, text: str, reason: str) -> None:
    """https://docs.aws.amazon.com/athena/latest/ug/troubleshooting-athena.html"""
    states, found = _seen(aws, _start(aws, text.format(table=table, bucket=aws.settings.bucket)))
    assert states[-1] == "FAILED"
    assert found["Status"]["StateChangeReason"].startswith(reason)


def test_a_stopped_query_is_cancelled_and_gives_no_rows(aws: Aws, table: str) -> None:
    """https://docs.aws.amazon.com/athena/latest/APIReference/API_StopQueryExecution.html"""
    id_ = _start(aws, f"SELECT count(*) FROM {table}")
    aws.call("athena", "stop_query_execution", QueryExecutionId=id_)
    assert _seen(aws, id_)[0] == ["CANCELLED"]
    with pytest.raises(Invalid, match="did not finish successfully"):
        aws.call("athena", "get_query_results", QueryExecutionId=id_)


def test_without_a_place_for_results_or_a_workgroup_nothing_is_run(aws: Aws) -> None:
    with pytest.raises(Invalid, match="No output location provided"):
        aws.call("athena", "start_query_execution", QueryString="SELECT 1")
    with pytest.raises(Invalid, match="WorkGroup nobody is not found"):
        _start(aws, "SELECT 1", WorkGroup="nobody")
