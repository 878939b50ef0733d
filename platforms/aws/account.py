"""Looks at a real account: may we, is it there, and will it hold? For `python starter.py doctor`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from contracts.fleet import Fleet
from platforms.aws.account_alarms import alarm_way, guard_alarms
from platforms.aws.account_data import sources
from platforms.aws.call_table import CALLS, OF_BRIDGE, OF_DOCTOR
from platforms.aws.calls import Aws
from platforms.aws.names import MOST
from platforms.checkup import Finding, judged, looked
from platforms.errors import NotFound, PlatformError

_SCALES: Final = "sagemaker.application-autoscaling.amazonaws.com"
_CONTEXT: Final = [{"ContextKeyName": "iam:AWSServiceName", "ContextKeyType": "string", "ContextKeyValues": [_SCALES]}]
"""What the right to make the linked role depends on; unasked for, IAM says that there is no such right."""
_ASSUMED: Final = ":assumed-role/"
_TEMPLATE: Final = "deploy deploy/aws/homeostat.yaml"


@dataclass(frozen=True)
class Queues:
    """What the bridge takes from."""

    url: str
    dead_letter_url: str
    most_receives: int


@dataclass(frozen=True)
class Resources:
    """One thing of each kind that the worker touches, as IAM wants to be asked."""

    caller: str
    region: str
    bucket: str
    prefix: str
    key: str

    def groups(self) -> dict[str, list[str]]:
        """The worker's actions by the resource that they are asked of. Whom a role is passed to, IAM can't be asked so."""
        found: dict[str, list[str]] = {}
        worker = [call for name, call in CALLS.items() if name not in OF_BRIDGE | OF_DOCTOR]
        for action in sorted({action for call in worker for action in call.permissions} - {"iam:PassRole"}):
            found.setdefault(self._of(action), []).append(action)
        return found

    def _of(self, action: str) -> str:
        service, _, name = action.partition(":")
        partition, account = self.caller.split(":")[1], self.caller.split(":")[4]
        if service == "s3":
            inside = "" if "Bucket" in name else f"/{self.prefix}/x"
            return f"arn:{partition}:s3:::{self.bucket}{inside}"
        if service == "sagemaker":
            return f"arn:{partition}:sagemaker:{self.region}:{account}:training-job/{self.prefix}-x"
        if service == "athena":
            return f"arn:{partition}:athena:{self.region}:{account}:workgroup/primary"
        if service == "iam":
            return f"arn:{partition}:iam::{account}:role/aws-service-role/{_SCALES}/x"
        if service == "kms" and self.key:
            return self.key
        return "*"


class AwsCheckup:
    """Everything is asked, nothing is changed."""

    def __init__(self, aws: Aws, queues: Queues, fleet: Fleet | None) -> None:
        self._aws = aws
        self._queues = queues
        self._fleet = fleet

    def findings(self) -> Sequence[Finding]:
        """Without credentials nothing else can be asked."""
        (identity,) = looked("credentials", self._identity, "give this process a role, or AWS_PROFILE, and AWS_REGION")
        if not identity.ok:
            return [identity]
        return [
            identity,
            *looked("bucket", self._bucket, f"set HOMEOSTAT_AWS_BUCKET to a bucket of this region, or {_TEMPLATE}"),
            *looked("training role", self._training_role, f"set HOMEOSTAT_AWS_ROLE, or {_TEMPLATE}"),
            *looked("rights", self._rights, "run this as the worker's role, or give that role what is missing"),
            *looked(
                "alarms' way", self._alarm_way, f"set HOMEOSTAT_SQS_QUEUE_URL and HOMEOSTAT_SQS_DEAD_LETTER_URL, or {_TEMPLATE}"
            ),
            *sources(self._aws, self._fleet),
            *self._of_the_fleet(),
        ]

    def _identity(self) -> Iterator[Finding]:
        found = self._aws.call("sts", "get_caller_identity")
        self._caller = str(found["Arn"])
        yield Finding("credentials", ok=True, found=f"{self._caller} in {self._aws.region}")

    def _bucket(self) -> Iterator[Finding]:
        bucket, wrong = self._aws.settings.bucket, []
        if not bucket:
            yield Finding("bucket", ok=False, found="none is configured", remedy=f"set HOMEOSTAT_AWS_BUCKET, or {_TEMPLATE}")
            return
        if self._aws.call("s3", "get_bucket_versioning", Bucket=bucket).get("Status") != "Enabled":
            wrong.append("keeps no versions: a manifest that is overwritten is lost")
        try:
            self._aws.call("s3", "get_object_lock_configuration", Bucket=bucket)
        except NotFound:
            wrong.append("has no object lock: audit records can be removed by whoever may")
        try:
            rules = self._aws.call("s3", "get_bucket_encryption", Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
            kinds = {rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules}
        except NotFound:
            kinds = set()
        if not kinds:
            wrong.append("is not encrypted")
        try:
            block = self._aws.call("s3", "get_public_access_block", Bucket=bucket)["PublicAccessBlockConfiguration"]
        except NotFound:
            block = {}
        if not (block and all(block.values())):
            wrong.append("may be made public")
        told = f"{bucket}: versions, object lock, {', '.join(sorted(kinds))}, not public"
        yield judged("bucket", told, [f"{bucket} {each}" for each in wrong], f"change it, or {_TEMPLATE}")

    def _training_role(self) -> Iterator[Finding]:
        arn = self._aws.settings.role
        if not arn:
            yield Finding("training role", ok=False, found="none is configured", remedy=f"set HOMEOSTAT_AWS_ROLE, or {_TEMPLATE}")
            return
        role = self._aws.call("iam", "get_role", RoleName=arn.rpartition("/")[2])["Role"]
        wrong = [] if _trusts(role["AssumeRolePolicyDocument"]) else [f"{arn} doesn't let sagemaker.amazonaws.com assume it"]
        yield judged("training role", arn, wrong, "add sagemaker.amazonaws.com to the role's trust policy")

    def _rights(self) -> Iterator[Finding]:
        """Those of whoever asks, as far as IAM can tell without trying."""
        if _ASSUMED not in self._caller and ":user/" not in self._caller:
            yield Finding("rights", ok=True, found=f"not asked: {self._caller} is neither a role nor a user")
            return
        source, settings = _role_of(self._caller), self._aws.settings
        resources = Resources(self._caller, self._aws.region, settings.bucket, settings.prefix, settings.kms_key)
        denied = []
        try:
            for resource, actions in resources.groups().items():
                asked = {"PolicySourceArn": source, "ActionNames": actions, "ResourceArns": [resource]}
                pages = self._aws.pages("iam", "simulate_principal_policy", ContextEntries=_CONTEXT, **asked)
                results = [each for page in pages for each in page["EvaluationResults"]]
                denied += [str(each["EvalActionName"]) for each in results if each["EvalDecision"] != "allowed"]
        except PlatformError as error:
            yield Finding("rights", ok=True, found=f"not asked: {str(error)[:200]}")
            return
        wrong = [f"{source} may not {', '.join(sorted(denied))}"] if denied else []
        remedy = "give the worker's role what docs/aws-calls.md names, or run this as that role"
        yield judged("rights", f"{source} may all that the worker calls", wrong, remedy)

    def _alarm_way(self) -> Iterator[Finding]:
        queues = self._queues
        return alarm_way(self._aws, queues.url, queues.dead_letter_url, queues.most_receives)

    def _of_the_fleet(self) -> Iterator[Finding]:
        if self._fleet is None:
            yield Finding("fleet file", ok=True, found="not looked at: HOMEOSTAT_FLEET names none")
            return
        yield self._names()
        yield from looked("quotas", self._quotas, "allow servicequotas:ListServiceQuotas, or look in the console")
        yield from looked("guard alarms", lambda: guard_alarms(self._aws, self._fleet), "allow cloudwatch:DescribeAlarms")

    def _names(self) -> Finding:
        assert self._fleet
        prefix = self._aws.settings.endpoint_prefix
        long = [f"{prefix}{name}" for name in self._fleet.endpoints if len(prefix) + len(name) > MOST]
        remedy = "shorten HOMEOSTAT_AWS_ENDPOINT_PREFIX or the endpoints' names"
        wrong = [f"{name} is longer than {MOST} characters" for name in long]
        return judged("names", f"{len(self._fleet.endpoints)} endpoints", wrong, remedy)

    def _quotas(self) -> Iterator[Finding]:
        assert self._fleet
        wanted: dict[str, float] = {}
        for policy in self._fleet.endpoints.values():
            wanted.setdefault(f"{policy.training.compute.instance_types[0]} for training job usage", 1)
            served = f"{policy.serving.instance_type} for endpoint usage"
            wanted[served] = wanted.get(served, 0) + 2 * policy.serving.instances
        pages = self._aws.pages("service-quotas", "list_service_quotas", ServiceCode="sagemaker")
        there = {str(quota["QuotaName"]): float(quota["Value"]) for page in pages for quota in page["Quotas"]}
        wrong = [
            f"{name}: {there.get(name, 0):g}, and {most:g} are needed"
            for name, most in wanted.items()
            if there.get(name, 0) < most
        ]
        remedy = "ask for a higher quota in Service Quotas; a deployment needs its endpoint's instances twice"
        yield judged("quotas", f"{len(wanted)} are high enough", wrong, remedy)


def _trusts(document: Any) -> bool:  # noqa: ANN401 - IAM gives an object, or text
    parsed = json.loads(unquote(document)) if isinstance(document, str) else document
    services = [each.get("Principal", {}).get("Service", []) for each in parsed["Statement"] if each["Effect"] == "Allow"]
    return any("sagemaker.amazonaws.com" in (each if isinstance(each, list) else [each]) for each in services)


def _role_of(caller: str) -> str:
    """The role behind a session, which is what IAM knows policies of."""
    if _ASSUMED not in caller:
        return caller
    account, role = caller.split(":")[4], caller.split("/")[1]
    return f"{caller.split(':sts:', maxsplit=1)[0]}:iam::{account}:role/{role}"
