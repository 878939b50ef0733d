"""Models, transform jobs, processing jobs, packages and cards of the simulator; each behaviour with its source."""

from typing import Any

import pytest

from platforms.aws.calls import Answer, Aws
from platforms.aws.objects import Objects
from platforms.aws.packaging import archive
from platforms.errors import Conflict, Invalid, NotFound
from tests.aws.fixtures import IMAGE, ROLE
from tests.platforms.data_fixtures import until

pytestmark = pytest.mark.processes

COUNTS = b"""
def model_fn(model_dir):
    return open(model_dir + "/word").read()

def input_fn(body, content_type):
    return body.decode() if isinstance(body, bytes) else body

def predict_fn(text, model):
    if "bad" in text:
        raise ValueError("a bad line")
    lines = text.splitlines()
    return "\\n".join(f"{model} {line} of {len(lines)}" for line in lines)

def output_fn(said, accept):
    return said, accept
"""


@pytest.fixture
def model(aws: Aws, objects: Objects) -> str:
    name = f"{aws.settings.prefix}-model"
    aws.call("sagemaker", "create_model", **_model(objects, name))
    return name


def _model(objects: Objects, name: str) -> dict[str, Any]:
    source = objects.put("container/counts.tar.gz", archive({"serve.py": COUNTS}))
    data = objects.put("m/model.tar.gz", archive({"word": b"hello"}))
    environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": source}
    return {
        "ModelName": name,
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": data, "Environment": environment},
    }


def _transformed(aws: Aws, objects: Objects, model: str, content: bytes, **other: Any) -> Answer:
    uri = objects.put("in/rows.txt", content)
    name = f"{model}-job"
    asked: dict[str, Any] = {
        "TransformJobName": name,
        "ModelName": model,
        "BatchStrategy": "MultiRecord",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
            "SplitType": "Line",
            "ContentType": "text/plain",
        },
        "TransformOutput": {"S3OutputPath": objects.uri("out"), "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    aws.call("sagemaker", "create_transform_job", **(asked | other))
    told: Answer = {}

    def over() -> bool:
        nonlocal told
        told = aws.call("sagemaker", "describe_transform_job", TransformJobName=name)
        return told["TransformJobStatus"] not in {"InProgress", "Stopping"}

    until(over)
    return told


@pytest.mark.parametrize(("strategy", "said"), [("MultiRecord", "2"), ("SingleRecord", "1")])
def test_lines_go_through_the_container_together_or_one_by_one(
    aws: Aws, objects: Objects, model: str, strategy: str, said: str
) -> None:
    """docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html: BatchStrategy, and `.out` beside the input's name."""
    told = _transformed(aws, objects, model, b"one\ntwo\n", BatchStrategy=strategy)
    assert told["TransformJobStatus"] == "Completed", told
    assert objects.get("out/rows.txt.out").decode() == f"hello one of {said}\nhello two of {said}\n"
    with pytest.raises(Conflict, match="ResourceInUse: Job name must be unique within an AWS account and region"):
        _transformed(aws, objects, model, b"one\n")


def test_a_container_that_fails_fails_the_job_and_leaves_nothing(aws: Aws, objects: Objects, model: str) -> None:
    """docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-errors.html: a job with errors writes no output file."""
    told = _transformed(aws, objects, model, b"bad\n")
    assert told["TransformJobStatus"] == "Failed"
    assert "the container answered 500: a bad line" in told["FailureReason"]
    assert not objects.there("out/rows.txt.out")


def test_a_model_s_name_is_its_own_and_free_again_once_it_is_gone(aws: Aws, objects: Objects, model: str) -> None:
    """ValidationException for a model that exists, and for one that doesn't: docs of CreateModel, DescribeModel."""
    with pytest.raises(Conflict, match="ValidationException: Cannot create already existing model"):
        aws.call("sagemaker", "create_model", **_model(objects, model))
    aws.call("sagemaker", "delete_model", ModelName=model)
    with pytest.raises(NotFound, match="Could not find model"):
        aws.call("sagemaker", "describe_model", ModelName=model)
    aws.call("sagemaker", "create_model", **_model(objects, model))
    asked = _model(objects, f"{model}-2")
    asked["PrimaryContainer"]["ModelDataUrl"] = objects.uri("nothing.tar.gz")
    with pytest.raises(NotFound, match="Could not find model data"):
        aws.call("sagemaker", "create_model", **asked)


def test_tags_are_added_replaced_and_removed(aws: Aws, model: str) -> None:
    """docs.aws.amazon.com/sagemaker/latest/APIReference/API_AddTags.html."""
    arn = aws.call("sagemaker", "describe_model", ModelName=model)["ModelArn"]
    for value in ("1", "2"):
        aws.call("sagemaker", "add_tags", ResourceArn=arn, Tags=[{"Key": "a", "Value": value}, {"Key": "b", "Value": "x"}])
    aws.call("sagemaker", "delete_tags", ResourceArn=arn, TagKeys=["b"])
    assert aws.call("sagemaker", "list_tags", ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "2"}]


def test_a_processing_image_that_nobody_plays_fails_loudly(aws: Aws) -> None:
    name = f"{aws.settings.prefix}-processing"
    aws.call(
        "sagemaker",
        "create_processing_job",
        ProcessingJobName=name,
        RoleArn=ROLE,
        AppSpecification={"ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/nobody:1"},
        ProcessingResources={"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}},
    )
    until(lambda: _processing(aws, name)["ProcessingJobStatus"] == "Failed")
    assert _processing(aws, name)["FailureReason"].startswith("NotSimulated: nobody simulates the image")
    with pytest.raises(NotFound, match="Could not find requested job with name: never"):
        _processing(aws, "never")


def _processing(aws: Aws, name: str) -> Answer:
    return aws.call("sagemaker", "describe_processing_job", ProcessingJobName=name)


# ---- registry


def _package(aws: Aws, token: str, **other: Any) -> str:
    group = f"{aws.settings.prefix}-group"
    made = aws.call("sagemaker", "create_model_package", ModelPackageGroupName=group, ClientToken=token, **other)
    return str(made["ModelPackageArn"])


def test_packages_of_a_group_are_numbered_and_a_token_makes_one_once(aws: Aws) -> None:
    """ClientToken: docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html."""
    with pytest.raises(NotFound, match="does not exist"):
        _package(aws, "a")
    aws.call("sagemaker", "create_model_package_group", ModelPackageGroupName=f"{aws.settings.prefix}-group")
    with pytest.raises(Conflict, match="Model Package Group already exists"):
        aws.call("sagemaker", "create_model_package_group", ModelPackageGroupName=f"{aws.settings.prefix}-group")
    first, again, second = (_package(aws, token) for token in ("a", "a", "b"))
    assert first == again
    assert (first.rsplit("/", 1)[1], second.rsplit("/", 1)[1]) == ("1", "2")


def test_metadata_of_a_package_is_added_to_and_its_status_is_one_of_three(aws: Aws) -> None:
    """docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html."""
    aws.call("sagemaker", "create_model_package_group", ModelPackageGroupName=f"{aws.settings.prefix}-group")
    arn = _package(aws, "a", CustomerMetadataProperties={"one": "1", "two": "2"})
    aws.call(
        "sagemaker",
        "update_model_package",
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"two": "b"},
        CustomerMetadataPropertiesToRemove=["one"],
    )
    told = aws.call("sagemaker", "describe_model_package", ModelPackageName=arn)
    assert (told["ModelApprovalStatus"], told["CustomerMetadataProperties"]) == ("Approved", {"two": "b"})
    with pytest.raises(Invalid):
        aws.call("sagemaker", "update_model_package", ModelPackageArn=arn, ModelApprovalStatus="Champion")


def test_a_model_card_has_versions_and_a_schema(aws: Aws) -> None:
    """docs.aws.amazon.com/sagemaker/latest/dg/model-cards.html."""
    name = f"{aws.settings.prefix}-card"
    with pytest.raises(Invalid, match="model card schema"):
        aws.call("sagemaker", "create_model_card", ModelCardName=name, Content='{"words": 1}', ModelCardStatus="Draft")
    asked = {"ModelCardName": name, "Content": '{"model_overview": {}}', "ModelCardStatus": "Draft"}
    aws.call("sagemaker", "create_model_card", **asked)
    with pytest.raises(Conflict):
        aws.call("sagemaker", "create_model_card", **asked)
    aws.call("sagemaker", "update_model_card", ModelCardName=name, ModelCardStatus="Approved")
    told = aws.call("sagemaker", "describe_model_card", ModelCardName=name)
    assert (told["ModelCardVersion"], told["ModelCardStatus"], told["Content"]) == (2, "Approved", '{"model_overview": {}}')
