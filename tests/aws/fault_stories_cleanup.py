"""The end of an incident: whatever fails, nothing temporary of it is left."""

from datetime import timedelta
from typing import Any, Final

from contracts.training import Tags
from platforms.aws.inventory import AwsInventory
from platforms.aws.names import name_of, tags_of
from platforms.errors import Unavailable
from platforms.files import json_bytes
from platforms.tagged import TAGS, Tagged
from tests.aws.faulting import Stage, Step, Story
from tests.aws.fixtures import IMAGE, ROLE
from tests.aws.hosted import until
from tests.platforms.data_fixtures import TAGS as OWNER

_OTHER: Final = OWNER.model_copy(update={"incident": "20120305T000000Z-aaaaaa"})
_KEY: Final = "k"


def _cleaning(stage: Stage) -> Step:
    """Of two incidents one is cleaned up."""
    for owner, folder in ((OWNER, "0123456789abcdef"), (_OTHER, "fedcba9876543210")):
        stage.objects.put(f"snapshots/{folder}/{TAGS}", json_bytes(Tagged.of(owner, "snapshot")))
        stage.objects.put(f"snapshots/{folder}/sub/data", b"x")
        _endpoint(stage, _model(stage, owner), owner)
    _ended_job(stage)
    return lambda: _cleaned(stage)


def _cleaned(stage: Stage) -> None:
    inventory = AwsInventory(stage.aws, stage.objects)
    removal = inventory.remove(inventory.list(OWNER))
    if removal.failed:
        raise Unavailable("; ".join(removal.failed))


def _cleaning_holds(stage: Stage) -> None:
    inventory = AwsInventory(stage.aws, stage.objects)
    assert list(inventory.list(OWNER)) == []
    kinds = sorted(each.kind for each in inventory.list(_OTHER))
    assert kinds == ["endpoint", "endpoint_config", "model", "snapshot"], kinds


def _tags(owner: Tags) -> list[dict[str, str]]:
    return [{"Key": tag, "Value": value} for tag, value in tags_of(owner, _KEY).items()]


def _named(stage: Stage, owner: Tags, what: str) -> str:
    return name_of(stage.aws.settings.prefix, owner.endpoint, what, f"{owner.incident}/{_KEY}")


def _model(stage: Stage, owner: Tags) -> str:
    name = _named(stage, owner, "score")
    container: dict[str, Any] = {"Image": IMAGE, "ModelDataUrl": stage.objects.put("models/none.tar.gz", b"")}
    stage.seen("sagemaker", "create_model", ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE, Tags=_tags(owner))
    return name


def _endpoint(stage: Stage, model: str, owner: Tags) -> None:
    """One that no container answers for: it has failed, and is there."""
    name = _named(stage, owner, "trial")
    variant = {"VariantName": "AllTraffic", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    stage.seen("sagemaker", "create_endpoint_config", EndpointConfigName=name, ProductionVariants=[variant], Tags=_tags(owner))
    stage.seen("sagemaker", "create_endpoint", EndpointName=name, EndpointConfigName=name, Tags=_tags(owner))
    until(lambda: stage.seen("sagemaker", "describe_endpoint", EndpointName=name)["EndpointStatus"] != "Creating")


def _ended_job(stage: Stage) -> None:
    """One without a program: it fails as soon as it has its machine."""
    name = _named(stage, OWNER, "train")
    stage.seen(
        "sagemaker",
        "create_training_job",
        TrainingJobName=name,
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        OutputDataConfig={"S3OutputPath": stage.objects.uri("outputs")},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": int(timedelta(hours=1).total_seconds())},
        Tags=_tags(OWNER),
    )
    until(lambda: stage.seen("sagemaker", "describe_training_job", TrainingJobName=name)["TrainingJobStatus"] == "Failed")


_GONE: Final = "nothing temporary of the incident is left, and everything of the other one"

CLEANUP: Final = (
    Story("s3", "delete_object", "clean up: files", _GONE, _cleaning, _cleaning_holds),
    Story("sagemaker", "delete_endpoint", "clean up: an endpoint", _GONE, _cleaning, _cleaning_holds),
    Story("sagemaker", "delete_endpoint_config", "clean up: a configuration", _GONE, _cleaning, _cleaning_holds, seldom=True),
    Story("sagemaker", "delete_model", "clean up: a model", _GONE, _cleaning, _cleaning_holds, seldom=True),
    Story("sagemaker", "delete_tags", "clean up: the tag of a job", _GONE, _cleaning, _cleaning_holds),
)
