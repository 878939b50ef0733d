"""CloudFormation: what moto builds only half, or not at all though it says CREATE_COMPLETE, is built by calls of the account.

A type that neither builds fails the stack. Sources: AWS CloudFormation User Guide, "AWS resource and property types reference": the pages of
the types below.
"""

import json
from collections.abc import Callable
from typing import Any, ClassVar

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError

from tests.aws.world import ACCOUNT, REGION, World

Properties = dict[str, Any]


def install(world: World) -> None:
    own: list[type[Built]] = [Bucket, BucketPolicy, QueuePolicy, TopicPolicy, MetricAlarm, CompositeAlarm]
    Built.client = world.client
    known = dict(parsing.get_model_map())
    by_type = {each.type: each for each in own}
    names = {each.type: each.named for each in own if each.named}

    _prepare(known["AWS::IAM::Role"], _role)
    _prepare(known["AWS::KMS::Key"], _key)

    def class_of(resource_type: str) -> Any:
        found = by_type.get(resource_type) or known.get(resource_type)
        if found is None and resource_type not in parsing.NULL_MODELS:
            raise ValidationError(resource_type, f"Resource type {resource_type} is not simulated")
        return found

    before = parsing.resource_name_property_from_type
    parsing.resource_class_from_type = class_of
    parsing.resource_name_property_from_type = lambda kind: names.get(kind) or (None if kind in by_type else before(kind))


def _prepare(model: Any, change: Callable[[Properties], None]) -> None:
    """Moto keeps some policies as Python writes them, which nobody can read; give them to it as JSON."""
    create = model.create_from_cloudformation_json

    def made(resource_name: str, cloudformation_json: Properties, account_id: str, region_name: str, **more: Any) -> Any:
        change(cloudformation_json["Properties"])
        return create(resource_name, cloudformation_json, account_id, region_name, **more)

    model.create_from_cloudformation_json = staticmethod(made)


def _role(properties: Properties) -> None:
    for policy in properties.get("Policies", ()):
        policy["PolicyDocument"] = json.dumps(policy["PolicyDocument"])


def _key(properties: Properties) -> None:
    properties["KeyPolicy"] = json.dumps(properties["KeyPolicy"])


class Built:
    """A resource that was made by calls; moto keeps it in its stack."""

    type: ClassVar[str]
    named: ClassVar[str] = ""
    client: ClassVar[Callable[[str], Any]]

    def __init__(self, name: str, properties: Properties) -> None:
        self.name = name
        self.properties = properties
        self.type = type(self).type

    @property
    def physical_resource_id(self) -> str:
        return self.name

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr == "Arn"

    def get_cfn_attribute(self, attribute_name: str) -> str:
        return self.arn

    @property
    def arn(self) -> str:
        return self.name

    def is_created(self) -> bool:
        return True

    def make(self) -> None:
        raise AssertionError(self.type)

    def unmake(self) -> None:
        """Nothing is left behind by most."""

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Properties, account_id: str, region_name: str, **_: Any
    ) -> "Built":
        made = cls(resource_name, cloudformation_json.get("Properties", {}))
        made.make()
        return made

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: "Built",
        new_resource_name: str,
        cloudformation_json: Properties,
        account_id: str,
        region_name: str,
    ) -> "Built":
        made = cls(original_resource.name, cloudformation_json.get("Properties", {}))
        made.make()
        return made

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Properties, account_id: str, region_name: str
    ) -> None:
        cls(resource_name, cloudformation_json.get("Properties", {})).unmake()

    def delete(self, account_id: str, region: str) -> None:
        self.unmake()


class Bucket(Built):
    type = "AWS::S3::Bucket"
    named = "BucketName"

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self.name}"

    def make(self) -> None:
        s3, given = Built.client("s3"), self.properties
        if self.name not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
            s3.create_bucket(
                Bucket=self.name,
                CreateBucketConfiguration={"LocationConstraint": REGION},
                ObjectLockEnabledForBucket=_true(given.get("ObjectLockEnabled")),
            )
        if versioning := given.get("VersioningConfiguration"):
            s3.put_bucket_versioning(Bucket=self.name, VersioningConfiguration=versioning)
        for rule in given.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", ()):
            rule["ApplyServerSideEncryptionByDefault"] = rule.pop("ServerSideEncryptionByDefault")
            default = rule["ApplyServerSideEncryptionByDefault"]
            default["KMSMasterKeyID"] = default.get("KMSMasterKeyID", "")
            rule["BucketKeyEnabled"] = _true(rule.get("BucketKeyEnabled"))
            s3.put_bucket_encryption(Bucket=self.name, ServerSideEncryptionConfiguration={"Rules": [rule]})
        if block := given.get("PublicAccessBlockConfiguration"):
            asked = {name: _true(value) for name, value in block.items()}
            s3.put_public_access_block(Bucket=self.name, PublicAccessBlockConfiguration=asked)
        if lifecycle := given.get("LifecycleConfiguration"):
            rules = [_lifecycle(rule) for rule in lifecycle["Rules"]]
            s3.put_bucket_lifecycle_configuration(Bucket=self.name, LifecycleConfiguration={"Rules": rules})


def _lifecycle(rule: Properties) -> Properties:
    """CloudFormation's short words in the API's."""
    made: Properties = {"ID": rule["Id"], "Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "ExpirationInDays" in rule:
        made["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    if "AbortIncompleteMultipartUpload" in rule:
        days = int(rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"])
        made["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
    if "NoncurrentVersionExpiration" in rule:
        made["NoncurrentVersionExpiration"] = {"NoncurrentDays": int(rule["NoncurrentVersionExpiration"]["NoncurrentDays"])}
    return made


class BucketPolicy(Built):
    type = "AWS::S3::BucketPolicy"

    def make(self) -> None:
        policy = json.dumps(self.properties["PolicyDocument"])
        Built.client("s3").put_bucket_policy(Bucket=self.properties["Bucket"], Policy=policy)


class QueuePolicy(Built):
    type = "AWS::SQS::QueuePolicy"

    def make(self) -> None:
        policy = json.dumps(self.properties["PolicyDocument"])
        for url in self.properties["Queues"]:
            Built.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


class TopicPolicy(Built):
    type = "AWS::SNS::TopicPolicy"

    def make(self) -> None:
        policy = json.dumps(self.properties["PolicyDocument"])
        for arn in self.properties["Topics"]:
            Built.client("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


class MetricAlarm(Built):
    type = "AWS::CloudWatch::Alarm"
    named = "AlarmName"

    @property
    def arn(self) -> str:
        return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{self.name}"

    def make(self) -> None:
        asked = {**self.properties, "AlarmName": self.name}
        for name in ("Period", "EvaluationPeriods", "DatapointsToAlarm"):
            if name in asked:
                asked[name] = int(asked[name])
        if "Threshold" in asked:
            asked["Threshold"] = float(asked["Threshold"])
        Built.client("cloudwatch").put_metric_alarm(**asked)

    def unmake(self) -> None:
        Built.client("cloudwatch").delete_alarms(AlarmNames=[self.name])


class CompositeAlarm(MetricAlarm):
    type = "AWS::CloudWatch::CompositeAlarm"

    def make(self) -> None:
        Built.client("cloudwatch").put_composite_alarm(**{**self.properties, "AlarmName": self.name})


def _true(value: Any) -> bool:
    return str(value).lower() == "true"
