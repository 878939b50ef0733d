"""Bucket policies of the simulated account."""

import json

import pytest

from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.errors import PlatformError


def _policy(objects: Objects, condition: dict[str, object] | None) -> str:
    statement: dict[str, object] = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{objects.bucket}/*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement | ({"Condition": condition} if condition else {})]})


def test_a_statement_against_plain_http_touches_nobody_who_comes_by_https(aws: Aws, objects: Objects) -> None:
    policy = _policy(objects, {"Bool": {"aws:SecureTransport": "false"}})
    aws.client("s3").put_bucket_policy(Bucket=objects.bucket, Policy=policy)
    objects.put("a", b"1")
    assert objects.get("a") == b"1"


@pytest.mark.parametrize("condition", [None, {"Bool": {"aws:SecureTransport": "true"}}])
def test_a_statement_that_applies_denies(aws: Aws, objects: Objects, condition: dict[str, object] | None) -> None:
    aws.client("s3").put_bucket_policy(Bucket=objects.bucket, Policy=_policy(objects, condition))
    with pytest.raises(PlatformError, match=r"403|AccessDenied"):
        objects.get("a")
