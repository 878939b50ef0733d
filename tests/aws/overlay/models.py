"""Models, and the tags of everything in SageMaker."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.aws import bucket
from tests.aws.calls import Call, Refusal
from tests.aws.overlay.job_table import arn, checked, checked_role, page, tag
from tests.aws.world import World

_KEPT = 50


@dataclass(frozen=True)
class Model:
    """One CreateModel."""

    name: str
    arn: str
    asked: dict[str, Any]
    created: datetime

    @property
    def container(self) -> dict[str, Any]:
        found: dict[str, Any] = self.asked.get("PrimaryContainer") or self.asked["Containers"][0]
        return found

    @property
    def environment(self) -> dict[str, str]:
        return {str(name): str(value) for name, value in (self.container.get("Environment") or {}).items()}


def models(world: World) -> dict[str, Model]:
    """By name; endpoints and transform jobs look their models up here."""
    found: dict[str, Model] = world.__dict__.setdefault("sagemaker_models", {})
    return found


def install(world: World) -> None:
    known = models(world)

    @world.operation("sagemaker", "CreateModel")
    def create(call: Call) -> dict[str, Any]:
        name = checked(call, "ModelName")
        checked_role(call.params.get("ExecutionRoleArn"))
        model = Model(name, arn("model", name), call.params, world.now())
        data = str(model.container.get("ModelDataUrl") or "")
        with world.lock:
            if name in known:  # github.com/hashicorp/terraform-provider-aws, FACTS of CreateModel: a ValidationException
                raise Refusal("ValidationException", f'Cannot create already existing model "{model.arn}".')
            if data and bucket.read(data) is None:  # github.com/aws/sagemaker-python-sdk: "Could not find model data at ..."
                raise Refusal("ValidationException", f"Could not find model data at {data}.")
            tag(world, model.arn, call.params)
            known[name] = model
        return {"ModelArn": model.arn}

    def found(call: Call) -> Model:
        name = checked(call, "ModelName")
        if name not in known:
            raise Refusal("ValidationException", f'Could not find model "{arn("model", name)}".')
        return known[name]

    @world.operation("sagemaker", "DescribeModel")
    def describe(call: Call) -> dict[str, Any]:
        model = found(call)
        told = {name: value for name, value in model.asked.items() if name != "Tags"}
        return {**told, "ModelArn": model.arn, "CreationTime": model.created, "EnableNetworkIsolation": False}

    @world.operation("sagemaker", "DeleteModel")
    def delete(call: Call) -> None:
        model = found(call)
        known.pop(model.name, None)
        world.tags.pop(model.arn, None)

    @world.operation("sagemaker", "ListModels")
    def listing(call: Call) -> dict[str, Any]:
        part = call.params.get("NameContains") or ""
        chosen = sorted((m for m in known.values() if part in m.name), key=lambda m: m.created, reverse=True)
        rows = [{"ModelName": m.name, "ModelArn": m.arn, "CreationTime": m.created} for m in chosen]
        return page(call, rows, "Models")

    _install_tags(world)


def _install_tags(world: World) -> None:
    """docs.aws.amazon.com/sagemaker/latest/APIReference/API_AddTags.html: a key that is there gets the new value; 50 at most."""

    def of(call: Call) -> dict[str, str]:
        resource = str(call.params["ResourceArn"])
        if not re.fullmatch(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:\d{12}:.+", resource) or resource not in world.tags:
            raise Refusal("ValidationException", f"Could not find resource {resource}")
        return world.tags[resource]

    @world.operation("sagemaker", "AddTags")
    def add(call: Call) -> dict[str, Any]:
        tags = of(call)
        given = {each["Key"]: each["Value"] for each in call.params["Tags"]}
        if len(tags | given) > _KEPT:
            raise Refusal("ResourceLimitExceeded", f"A resource can have {_KEPT} tags at most")
        tags |= given
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    @world.operation("sagemaker", "ListTags")
    def listing(call: Call) -> dict[str, Any]:
        return page(call, [{"Key": key, "Value": value} for key, value in of(call).items()], "Tags")

    @world.operation("sagemaker", "DeleteTags")
    def delete(call: Call) -> None:
        tags = of(call)
        for key in call.params["TagKeys"]:
            tags.pop(key, None)
