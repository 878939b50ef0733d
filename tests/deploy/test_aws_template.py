"""The template of deploy/aws: without a finding of cfn-lint, deployed to the simulated account, and its roles as narrow as the code."""

import json
import subprocess
import sys
from fnmatch import fnmatchcase
from typing import Any

import pytest

from platforms.aws.calls import Aws
from tests.aws.rights import ALWAYS, BRIDGE, TEMPLATE, rendered, rights
from tests.deploy.stacks import Stack, deployed

NEVER = {"s3:BypassGovernanceRetention", "s3:DeleteBucket", "s3:PutBucketVersioning", "kms:ScheduleKeyDeletion"}


@pytest.fixture
def stack(aws: Aws) -> Stack:
    return deployed(aws)


def test_cfn_lint_finds_nothing() -> None:
    command = [sys.executable, "-c", "from cfnlint.runner import main; main()", "--regions", "eu-west-1", "--", str(TEMPLATE)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_the_workers_role_is_what_the_code_calls() -> None:
    text = TEMPLATE.read_text()
    assert rendered(text) == text, "run: python -m tests.aws.rights"


def test_each_role_may_what_its_process_calls_and_nothing_else(stack: Stack) -> None:
    assert stack.actions("worker") == rights() | ALWAYS
    evidence = {"s3:GetObject", "kms:Decrypt", "kms:GenerateDataKey"}
    assert stack.actions("bridge") == rights(BRIDGE) | evidence
    assert not {action for action in stack.actions("review") if action.startswith("sagemaker:")}
    assert not {action for action in stack.actions("training") if action.startswith(("sagemaker:", "iam:", "sqs:"))}


def test_no_role_goes_beyond_the_boundary_and_the_boundary_never_lets_evidence_be_undone(stack: Stack) -> None:
    allowed, denied = stack.boundary()
    assert denied >= NEVER
    for role in ("worker", "bridge", "review", "training"):
        assert stack.role(role)["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(f":policy/{stack.boundary_name}")
        for action in stack.actions(role):
            assert any(fnmatchcase(action, pattern) for pattern in allowed), action
            assert action not in denied, action
            assert "*" not in action


def test_the_bucket_keeps_versions_locks_and_encrypts_and_lets_go_of_what_is_temporary(stack: Stack, aws: Aws) -> None:
    bucket = stack.outputs["BucketName"]
    assert aws.call("s3", "get_bucket_versioning", Bucket=bucket)["Status"] == "Enabled"
    locked = aws.call("s3", "get_object_lock_configuration", Bucket=bucket)["ObjectLockConfiguration"]
    assert locked["ObjectLockEnabled"] == "Enabled"
    rules = aws.call("s3", "get_bucket_lifecycle_configuration", Bucket=bucket)["Rules"]
    kept = {rule["Filter"]["Prefix"].rpartition("/")[0].rpartition("/")[2]: rule.get("Expiration") for rule in rules}
    assert set(kept) == {"jobs", "transforms", "snapshots", "vault", "capture", ""}
    assert kept[""] is None, "what is kept for good does not expire"
    encryption = aws.call("s3", "get_bucket_encryption", Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_the_bridges_own_alarms_never_go_to_the_bridge(stack: Stack, aws: Aws) -> None:
    """Else a dead letter would make another."""
    found = aws.call("cloudwatch", "describe_alarms", AlarmNamePrefix=f"trouble-{stack.prefix}")["MetricAlarms"]
    assert len(found) == 3
    pattern = json.loads(aws.call("events", "describe_rule", Name=f"{stack.prefix}-alarms")["EventPattern"])
    (prefix,) = (each["prefix"] for each in pattern["detail"]["alarmName"])
    assert not [alarm["AlarmName"] for alarm in found if alarm["AlarmName"].startswith(prefix)]
    assert all(alarm["AlarmActions"] for alarm in found)


def test_a_stack_with_a_type_that_is_not_simulated_fails(aws: Aws) -> None:
    template = {"Resources": {"Table": {"Type": "AWS::Timestream::Table", "Properties": {"DatabaseName": "x"}}}}
    answer: Any = aws.client("cloudformation")
    with pytest.raises(Exception, match="is not simulated"):
        answer.create_stack(StackName=f"{aws.settings.prefix}-no", TemplateBody=json.dumps(template))
