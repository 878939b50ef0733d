"""`doctor` on AWS: a deployed account is well, and each thing that is wrong in one is named with its remedy."""

import json
from pathlib import Path
from typing import Any

import pytest

from platforms.aws.account import AwsCheckup, Queues, Resources
from platforms.aws.call_table import OF_BRIDGE, OF_DOCTOR
from platforms.aws.calls import Aws
from platforms.aws.settings import AwsSettings
from platforms.checkup import Finding
from runtime.fleet_file import load
from tests.aws.calls_document import asked
from tests.aws.fixtures import new_account
from tests.aws.rights import BRIDGE, DOCTOR
from tests.console.conftest import Run
from tests.deploy.stacks import Stack, deployed

FLEET = """
version: 1
endpoints:
  bikes:
    team: a
    cost_center: b
    data: {{table: {table}, features: [x], label: y}}
    intake: {{alarms: ["{prefix}-drift*"]}}
    training: {{compute: {{instance_types: [{train}]}}}}
    serving: {{instances: 2, instance_type: ml.m5.large, shift: {{kind: canary, alarms: [{guards}]}}}}
"""


class Account:
    """A deployed account with the fleet file that lives in it."""

    def __init__(self, stack: Stack, home: Path) -> None:
        self.stack = stack
        self.file = home / "fleet.yaml"
        self.aws = stack.aws
        self.caller = ""
        self.write()

    def write(self, train: str = "ml.m5.xlarge", table: str = "", guards: str = "") -> None:
        prefix = self.stack.prefix
        guards = guards or f"{prefix}-errors"
        self.file.write_text(FLEET.format(prefix=prefix, train=train, guards=guards, table=table or prefix))

    def findings(self, **changed: Any) -> dict[str, Finding]:
        outputs = self.stack.outputs
        given = {
            "bucket": outputs["BucketName"],
            "prefix": self.stack.prefix,
            "role": outputs["TrainingRoleArn"],
            "kms_key": outputs["KeyArn"],
            "athena_database": self.stack.prefix.replace("-", "_"),
            "calls_per_second": 1000.0,
        }
        aws = self.aws
        aws.settings = AwsSettings.model_validate(given | changed.pop("settings", {}))
        queues = Queues(changed.pop("queue", outputs["QueueUrl"]), changed.pop("dead", outputs["DeadLetterUrl"]), 5)
        found = AwsCheckup(aws, queues, load(self.file)).findings()
        return {each.name: each for each in found}


@pytest.fixture
def account(aws: Aws, tmp_path: Path) -> Account:
    stack = deployed(aws)
    aws.call("glue", "create_database", DatabaseInput={"Name": stack.prefix.replace("-", "_")})
    put_alarm(aws, f"{stack.prefix}-errors")
    return Account(stack, tmp_path)


def put_alarm(aws: Aws, name: str, **tags: str) -> None:
    aws.call(
        "cloudwatch",
        "put_metric_alarm",
        AlarmName=name,
        Namespace=name,
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
        Tags=[{"Key": key.replace("_", ":"), "Value": value} for key, value in tags.items()],
    )


def wrong(found: dict[str, Finding]) -> dict[str, str]:
    return {name: each.found for name, each in found.items() if not each.ok and not name.startswith("feature group")}


def test_a_deployed_account_is_well(account: Account) -> None:
    found = account.findings()
    assert wrong(found) == {}
    assert {"credentials", "bucket", "training role", "queue", "queue's key", "dead letters", "rules"} <= set(found)
    assert {"Athena workgroup", "Glue database", "names", "quotas", "guard alarms of bikes"} <= set(found)
    assert all(not each.remedy for each in found.values() if each.ok)


def test_a_bucket_that_keeps_too_little_is_named(account: Account, aws: Aws) -> None:
    plain = new_account().settings.bucket
    found = account.findings(settings={"bucket": plain})["bucket"]
    assert "has no object lock" in found.found
    assert "may be made public" in found.found
    assert found.remedy
    assert "sqs" not in account.findings(settings={"bucket": "no-such-bucket-here"})["bucket"].found


def test_what_keeps_alarms_from_the_bridge_is_named(account: Account, aws: Aws) -> None:
    url, prefix = account.stack.outputs["QueueUrl"], account.stack.prefix
    attributes = {"Policy": "", "RedrivePolicy": "", "KmsMasterKeyId": "alias/aws/sqs"}
    aws.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes=attributes)
    aws.call("events", "disable_rule", Name=f"{prefix}-alarms")
    aws.call("sqs", "send_message", QueueUrl=account.stack.outputs["DeadLetterUrl"], MessageBody="x")
    found = account.findings()
    assert "alarms are dropped" in found["queue"].found
    assert "alias/aws/sqs can't be used by EventBridge" in found["queue's key"].found
    assert "is disabled; no rule of EventBridge brings CloudWatch's alarms" in found["rules"].found
    assert found["dead letters"].remedy.startswith("see why with `python -m bridge redrive --dry-run`")
    assert not account.findings(dead="")["dead letters"].ok
    assert account.findings(queue="")["queue"].ok, "alarms may come over HTTP alone"


def test_a_queue_that_gives_up_before_the_bridge_does_is_named(account: Account, aws: Aws) -> None:
    dead = f"arn:aws:sqs:eu-west-1:123456789012:{account.stack.prefix}-alarms-dead"
    policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 3})
    aws.call("sqs", "set_queue_attributes", QueueUrl=account.stack.outputs["QueueUrl"], Attributes={"RedrivePolicy": policy})
    assert "gives up on a message after 3 receives, the bridge after 5" in account.findings()["queue"].found


def test_a_guard_that_is_missing_that_fires_or_that_calls_for_a_deployment_is_named(account: Account, aws: Aws) -> None:
    prefix = account.stack.prefix
    put_alarm(aws, f"{prefix}-drift")
    put_alarm(aws, f"{prefix}-tagged", homeostat_endpoint="bikes")
    account.write(guards=f"{prefix}-none, {prefix}-drift, {prefix}-tagged, {prefix}-errors")
    aws.call("cloudwatch", "set_alarm_state", AlarmName=f"{prefix}-errors", StateValue="ALARM", StateReason="test")
    found = account.findings()["guard alarms of bikes"].found
    assert f"there is no alarm {prefix}-none" in found
    assert f"{prefix}-errors is in ALARM" in found
    assert f"{prefix}-drift opens incidents itself" in found
    assert f"{prefix}-tagged opens incidents itself" in found


def test_a_machine_without_a_quota_and_a_role_that_sagemaker_cant_take_are_named(account: Account) -> None:
    account.write(train="ml.p4d.24xlarge")
    found = account.findings(settings={"role": account.stack.outputs["WorkerRoleArn"], "athena_database": "none"})
    assert "ml.p4d.24xlarge for training job usage: 0, and 1 are needed" in found["quotas"].found
    assert "doesn't let sagemaker.amazonaws.com assume it" in found["training role"].found
    assert not found["Glue database"].ok
    group = found[f"feature group {account.stack.prefix}"]
    assert (group.ok, group.remedy != "") == (False, True)


def test_the_workers_role_of_the_template_may_all_that_the_worker_calls(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked of IAM as its session would; the bridge's role is told what it may not."""
    sessions = {
        what: f"arn:aws:sts::123456789012:assumed-role/{account.stack.prefix}-{what}-eu-west-1/x" for what in ("worker", "bridge")
    }
    call = Aws.call
    for what, ok in (("worker", True), ("bridge", False)):

        def told(self: Aws, service: str, operation: str, *, _arn: str = sessions[what], **more: Any) -> Any:
            return {"Arn": _arn} if operation == "get_caller_identity" else call(self, service, operation, **more)

        monkeypatch.setattr(Aws, "call", told)
        found = account.findings()["rights"]
        assert found.ok == ok, found
        assert ("sagemaker:CreateTrainingJob" in found.found) != ok


def test_the_table_says_who_calls_what() -> None:
    calls = asked()
    assert {name for name, places in calls.items() if places & BRIDGE and places <= BRIDGE | DOCTOR} == set(OF_BRIDGE)
    assert {name for name, places in calls.items() if places <= DOCTOR} == set(OF_DOCTOR)
    groups = Resources("arn:aws:iam::1:role/x", "eu-west-1", "b", "p", "").groups()
    assert "s3:PutObject" in groups["arn:aws:s3:::b/p/x"]
    assert "s3:ListBucket" in groups["arn:aws:s3:::b"]


async def test_without_credentials_nothing_else_is_asked(
    run: Run, aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("HOMEOSTAT_PLATFORM", "aws")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    ran = await run("doctor", "--json")
    assert ran.exit == 1
    found = {check["name"]: check for check in ran.data["checks"]}
    assert "Give this process credentials" in found["credentials"]["found"]
    assert "bucket" not in found
