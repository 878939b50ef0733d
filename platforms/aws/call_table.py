"""Every AWS API call that homeostat makes: the right it needs, what it is for, and why trying it again is safe.

Temporal tries steps again, and an answer can be lost after the effect. So a call may stand here only with its reason why the
second try is the same as the first. docs/aws-calls.md is made from this table.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Retry(StrEnum):
    """What a step does after a throttled call, a server's error, or an answer that never came."""

    READ = "reads"
    """Changes nothing: again."""
    REPEAT = "the same again"
    """Twice is once by what it asks for: again."""
    ADOPT = "again, then adopt"
    """Its name or token is made from the key: again, and what is there already is compared and taken over."""
    CONDITION = "again under its condition"
    """The service refuses it when it was done: again, and a refusal is read and compared."""
    LOOK = "look, then again"
    """Look first at what is true now, and ask only for what isn't."""


@dataclass(frozen=True)
class Call:
    """One operation of one service."""

    permissions: tuple[str, ...]
    """IAM actions that the role needs."""
    retry: Retry
    used: str
    """What for."""
    again: str
    """What makes the second try the same as the first: a name, a token, a condition."""


_READS: Final = "changes nothing"

CALLS: Final[dict[tuple[str, str], Call]] = {
    ("application-autoscaling", "describe_scalable_targets"): Call(
        ("application-autoscaling:DescribeScalableTargets",), Retry.READ, "read the bounds of an endpoint's scaling", _READS
    ),
    ("application-autoscaling", "describe_scaling_activities"): Call(
        ("application-autoscaling:DescribeScalingActivities",), Retry.READ, "tell what scaling failed or didn't happen", _READS
    ),
    ("application-autoscaling", "register_scalable_target"): Call(
        ("application-autoscaling:RegisterScalableTarget", "iam:CreateServiceLinkedRole"),
        Retry.REPEAT,
        "hold the bounds of scaling after a deployment",
        "it sets the bounds that were read before the deployment; the same again sets the same",
    ),
    ("athena", "get_query_execution"): Call(("athena:GetQueryExecution",), Retry.READ, "follow a query", _READS),
    ("athena", "get_query_results"): Call(("athena:GetQueryResults",), Retry.READ, "read a small result", _READS),
    ("athena", "get_work_group"): Call(
        ("athena:GetWorkGroup",), Retry.READ, "see that the workgroup is there and enabled", _READS
    ),
    ("athena", "start_query_execution"): Call(
        (
            *("athena:StartQueryExecution", "athena:GetWorkGroup", "glue:GetDatabase", "glue:GetTable", "glue:GetPartitions"),
            *("s3:GetBucketLocation", "s3:ListBucket", "s3:PutObject", "s3:AbortMultipartUpload"),
        ),
        Retry.ADOPT,
        "unload the rows of a window, or ask for a watermark",
        "an unload's ClientRequestToken is made from key, query and attempt: the same execution is returned; a watermark changes "
        "nothing",
    ),
    ("athena", "stop_query_execution"): Call(
        ("athena:StopQueryExecution",), Retry.REPEAT, "end a query that takes too long", "a query that is over stays as it ended"
    ),
    ("cloudwatch", "describe_alarms"): Call(
        ("cloudwatch:DescribeAlarms",), Retry.READ, "see which alarms can guard a deployment, and which have gone off", _READS
    ),
    ("cloudwatch", "get_metric_data"): Call(
        ("cloudwatch:GetMetricData",), Retry.READ, "count calls and errors of the champion while it bakes", _READS
    ),
    ("cloudwatch", "list_tags_for_resource"): Call(
        ("cloudwatch:ListTagsForResource",), Retry.READ, "see whether a guarding alarm opens incidents itself", _READS
    ),
    ("events", "describe_rule"): Call(("events:DescribeRule",), Retry.READ, "see that a rule is enabled", _READS),
    ("events", "list_rule_names_by_target"): Call(
        ("events:ListRuleNamesByTarget",), Retry.READ, "see which rules bring alarms", _READS
    ),
    ("glue", "get_database"): Call(("glue:GetDatabase",), Retry.READ, "see that the database is there", _READS),
    ("glue", "get_table"): Call(("glue:GetTable",), Retry.READ, "columns and partition keys of a table", _READS),
    ("iam", "get_role"): Call(("iam:GetRole",), Retry.READ, "see whom a role trusts", _READS),
    ("iam", "simulate_principal_policy"): Call(
        ("iam:SimulatePrincipalPolicy",), Retry.READ, "see what is not allowed before it is tried", _READS
    ),
    ("kms", "get_key_policy"): Call(("kms:GetKeyPolicy",), Retry.READ, "see that EventBridge may use the queue's key", _READS),
    ("resourcegroupstaggingapi", "get_resources"): Call(
        ("tag:GetResources",), Retry.READ, "find what is tagged as temporary", _READS
    ),
    ("s3", "delete_object"): Call(
        ("s3:DeleteObject",), Retry.REPEAT, "remove what no longer counts", "what is gone already is nothing"
    ),
    ("s3", "get_bucket_encryption"): Call(
        ("s3:GetEncryptionConfiguration",), Retry.READ, "see that the bucket is encrypted", _READS
    ),
    ("s3", "get_bucket_versioning"): Call(("s3:GetBucketVersioning",), Retry.READ, "see that the bucket keeps versions", _READS),
    ("s3", "get_object"): Call(("s3:GetObject", "kms:Decrypt"), Retry.READ, "read an object of the bucket", _READS),
    ("s3", "get_object_lock_configuration"): Call(
        ("s3:GetBucketObjectLockConfiguration",), Retry.READ, "see whether audit records can be retained", _READS
    ),
    ("s3", "get_public_access_block"): Call(
        ("s3:GetBucketPublicAccessBlock",), Retry.READ, "see that the bucket can't be made public", _READS
    ),
    ("s3", "head_object"): Call(("s3:GetObject", "s3:ListBucket"), Retry.READ, "see whether an object is there", _READS),
    ("s3", "list_objects_v2"): Call(("s3:ListBucket",), Retry.READ, "list objects in order", _READS),
    ("s3", "put_object"): Call(
        ("s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectRetention", "kms:GenerateDataKey"),
        Retry.CONDITION,
        "write a whole object",
        "named by key or content; where two could write, `IfNoneMatch` lets one, and the content is compared",
    ),
    ("sagemaker", "create_endpoint"): Call(
        ("sagemaker:CreateEndpoint", "sagemaker:AddTags"),
        Retry.ADOPT,
        "serve an endpoint's first model",
        "one that is there is described, and taken over if it has this deployment's configuration",
    ),
    ("sagemaker", "create_endpoint_config"): Call(
        ("sagemaker:CreateEndpointConfig", "sagemaker:AddTags"),
        Retry.ADOPT,
        "say which model an endpoint serves, on what, and where it captures",
        "the name is made from the key; one that is there is this deployment's",
    ),
    ("sagemaker", "create_model"): Call(
        ("sagemaker:CreateModel", "sagemaker:AddTags", "iam:PassRole"),
        Retry.ADOPT,
        "make an artifact servable",
        "the name is made from artifact, code and settings; one that is there holds the same",
    ),
    ("sagemaker", "create_model_card"): Call(
        ("sagemaker:CreateModelCard",), Retry.ADOPT, "a card for people", "the name is made from the model's digest"
    ),
    ("sagemaker", "create_model_package"): Call(
        ("sagemaker:CreateModelPackage", "iam:PassRole"),
        Retry.ADOPT,
        "register a model",
        "`ClientToken` is made from group and digest, and a package of the same digest is looked for first",
    ),
    ("sagemaker", "create_model_package_group"): Call(
        ("sagemaker:CreateModelPackageGroup", "sagemaker:AddTags"),
        Retry.ADOPT,
        "a group for each endpoint's models",
        "the name is made from the endpoint's",
    ),
    ("sagemaker", "create_training_job"): Call(
        ("sagemaker:CreateTrainingJob", "sagemaker:AddTags", "iam:PassRole"),
        Retry.ADOPT,
        "train",
        "the name is made from the key and the attempt; what has the name is held to the key and taken over",
    ),
    ("sagemaker", "create_transform_job"): Call(
        ("sagemaker:CreateTransformJob", "sagemaker:AddTags"),
        Retry.ADOPT,
        "score rows",
        "the name is made from the rows, the model and the attempt; a job that is there is followed",
    ),
    ("sagemaker", "delete_endpoint"): Call(
        ("sagemaker:DeleteEndpoint",), Retry.REPEAT, "remove a temporary endpoint", "what is gone already is nothing"
    ),
    ("sagemaker", "delete_endpoint_config"): Call(
        ("sagemaker:DeleteEndpointConfig",),
        Retry.REPEAT,
        "remove a configuration that no rollback goes to",
        "what is gone already is nothing; one in service is never removed",
    ),
    ("sagemaker", "delete_model"): Call(
        ("sagemaker:DeleteModel",),
        Retry.REPEAT,
        "remove a model that no kept configuration names",
        "what is gone already is nothing",
    ),
    ("sagemaker", "delete_tags"): Call(
        ("sagemaker:DeleteTags",),
        Retry.REPEAT,
        "take the temporary tag from a job that is over",
        "a tag that is gone already is nothing",
    ),
    ("sagemaker", "describe_endpoint"): Call(
        ("sagemaker:DescribeEndpoint",), Retry.READ, "see what an endpoint serves, and how far a deployment is", _READS
    ),
    ("sagemaker", "describe_endpoint_config"): Call(
        ("sagemaker:DescribeEndpointConfig",), Retry.READ, "see whether a configuration is still there", _READS
    ),
    ("sagemaker", "describe_feature_group"): Call(
        ("sagemaker:DescribeFeatureGroup",), Retry.READ, "columns and offline store of a feature group", _READS
    ),
    ("sagemaker", "describe_model"): Call(
        ("sagemaker:DescribeModel",), Retry.READ, "see when a temporary model was made", _READS
    ),
    ("sagemaker", "describe_model_package"): Call(
        ("sagemaker:DescribeModelPackage",), Retry.READ, "see where the model stands", _READS
    ),
    ("sagemaker", "describe_processing_job"): Call(
        ("sagemaker:DescribeProcessingJob",), Retry.READ, "find the files of a monitoring job", _READS
    ),
    ("sagemaker", "describe_training_job"): Call(
        ("sagemaker:DescribeTrainingJob",), Retry.READ, "look at a training job", _READS
    ),
    ("sagemaker", "describe_transform_job"): Call(
        ("sagemaker:DescribeTransformJob",), Retry.READ, "follow a transform job", _READS
    ),
    ("sagemaker", "list_feature_groups"): Call(
        ("sagemaker:ListFeatureGroups",), Retry.READ, "say which feature groups there are, where one is missing", _READS
    ),
    ("sagemaker", "list_model_packages"): Call(
        ("sagemaker:ListModelPackages",), Retry.READ, "find the package of a digest, and who is champion", _READS
    ),
    ("sagemaker", "stop_training_job"): Call(
        ("sagemaker:StopTrainingJob",),
        Retry.LOOK,
        "stop a training job",
        "only one that is in progress is told to stop; that nobody wants it stands in the bucket first",
    ),
    ("sagemaker", "update_endpoint"): Call(
        ("sagemaker:UpdateEndpoint", "cloudwatch:DescribeAlarms"),
        Retry.LOOK,
        "move an endpoint's traffic to another model",
        "the wish is written first and marked once it is taken; a deployment of it that runs, or has gone back, is taken over",
    ),
    ("sagemaker", "update_model_card"): Call(
        ("sagemaker:UpdateModelCard",), Retry.REPEAT, "say where the model stands", "the same status again is the same"
    ),
    ("sagemaker", "update_model_package"): Call(
        ("sagemaker:UpdateModelPackage",), Retry.REPEAT, "say where the model stands", "the same status again is the same"
    ),
    ("sagemaker-featurestore-runtime", "batch_get_record"): Call(
        ("sagemaker:BatchGetRecord",), Retry.READ, "read labels of the online store", _READS
    ),
    ("service-quotas", "list_service_quotas"): Call(
        ("servicequotas:ListServiceQuotas",), Retry.READ, "see how many instances are allowed", _READS
    ),
    ("sqs", "change_message_visibility"): Call(
        ("sqs:ChangeMessageVisibility",),
        Retry.REPEAT,
        "keep a message, or give it back later",
        "the time counts from the newest call; a message that comes back early is taken again, and an alarm counts once",
    ),
    ("sqs", "delete_message_batch"): Call(
        ("sqs:DeleteMessage",),
        Retry.REPEAT,
        "say that messages are taken",
        "what is deleted already is nothing; what is handed out again is an alarm that was seen, and counts once",
    ),
    ("sqs", "get_queue_attributes"): Call(("sqs:GetQueueAttributes",), Retry.READ, "count what waits", _READS),
    ("sqs", "receive_message"): Call(
        ("sqs:ReceiveMessage",), Retry.READ, "take messages", "what was handed out and not deleted comes again after its time"
    ),
    ("sqs", "send_message"): Call(
        ("sqs:SendMessage",),
        Retry.REPEAT,
        "put a message among the dead letters, or back",
        "sent before the original is deleted, so none is lost; a second copy is the same alarm, and counts once",
    ),
    ("sts", "get_caller_identity"): Call(("sts:GetCallerIdentity",), Retry.READ, "see whose credentials these are", _READS),
}
"""By service and boto3's name of the operation."""

OF_BRIDGE: Final = frozenset(name for name in CALLS if name[0] == "sqs") | {("sagemaker", "describe_processing_job")}
"""What the bridge calls, and the worker doesn't."""

OF_DOCTOR: Final = frozenset(
    {
        ("athena", "get_work_group"),
        ("cloudwatch", "list_tags_for_resource"),
        ("events", "describe_rule"),
        ("events", "list_rule_names_by_target"),
        ("glue", "get_database"),
        ("iam", "get_role"),
        ("iam", "simulate_principal_policy"),
        ("kms", "get_key_policy"),
        ("s3", "get_bucket_encryption"),
        ("s3", "get_bucket_versioning"),
        ("s3", "get_public_access_block"),
        ("service-quotas", "list_service_quotas"),
        ("sts", "get_caller_identity"),
    }
)
"""What `python starter.py doctor` asks with the rights of whoever runs it."""
