"""S3 as records need it: conditional writes that race, versions that stay, retention that holds."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from secrets import token_hex

import pytest
from botocore.exceptions import ClientError

from platforms.aws.calls import Aws


def _puts(aws: Aws, key: str, times: int) -> list[str]:
    """Ask for the same conditional write so often at once; 'ok' or the error's code."""

    def put(n: int) -> str:
        try:
            aws.client("s3").put_object(Bucket=aws.settings.bucket, Key=key, Body=b"%d" % n, IfNoneMatch="*")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "ok"

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(put, range(times)))


def test_of_conditional_writes_at_once_one_succeeds_and_the_others_are_told_why(aws: Aws) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""
    said = _puts(aws, "raced", 6)
    assert said.count("ok") == 1
    assert set(said) <= {"ok", "PreconditionFailed", "ConditionalRequestConflict"}
    assert _puts(aws, "raced", 1) == ["PreconditionFailed"]


def test_an_older_version_stays_when_an_object_is_replaced_or_removed(aws: Aws) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html"""
    s3, bucket = aws.client("s3"), aws.settings.bucket
    first = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    s3.put_object(Bucket=bucket, Key="a", Body=b"2")
    s3.delete_object(Bucket=bucket, Key="a")
    assert s3.get_object(Bucket=bucket, Key="a", VersionId=first)["Body"].read() == b"1"
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="a")
    assert _puts(aws, "a", 1) == ["ok"], "a delete marker is no object"


def test_a_retained_version_can_not_be_removed(aws: Aws) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html"""
    s3, bucket = aws.client("s3"), f"locked-{token_hex(4)}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": aws.region}, ObjectLockEnabledForBucket=True)
    until = datetime.now(UTC) + timedelta(days=1)
    kept = s3.put_object(Bucket=bucket, Key="a", Body=b"1", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key="a", VersionId=kept["VersionId"])
