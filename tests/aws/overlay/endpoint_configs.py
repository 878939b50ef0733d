"""SageMaker endpoint configurations.

Sources: SageMaker APIReference CreateEndpointConfig, DeleteEndpointConfig; awslabs/spot-tagging-bot-for-digital-assets#2 for the
refusal of a name that exists.
"""

from typing import Final

import botocore.loaders

from tests.aws.calls import Call
from tests.aws.overlay.fleets import Config, Params
from tests.aws.overlay.hosting import arn, hosting, invalid, named, page, tags_of
from tests.aws.world import World

_SHAPES: Final = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")["shapes"]
_INSTANCE_TYPES: Final = frozenset(_SHAPES["ProductionVariantInstanceType"]["enum"])


def install(world: World) -> None:
    world.operation("sagemaker", "CreateEndpointConfig")(_create_config)
    world.operation("sagemaker", "DescribeEndpointConfig")(_describe_config)
    world.operation("sagemaker", "DeleteEndpointConfig")(_delete_config)
    world.operation("sagemaker", "ListEndpointConfigs")(_list_configs)


def _create_config(call: Call) -> Params:
    here, asked = hosting(), call.params
    name = named(asked["EndpointConfigName"], "endpointConfigName")
    for variant in asked["ProductionVariants"]:
        if variant.get("InstanceType") not in _INSTANCE_TYPES:
            raise invalid(f"1 validation error detected: Value '{variant.get('InstanceType')}' at 'instanceType' failed")
        _model_exists(here.world, variant["ModelName"])
    with here.world.lock:
        if name in here.configs:
            raise invalid(f'Cannot create already existing endpoint configuration "{arn("endpoint-config", name)}".')
        made = Config(name, arn("endpoint-config", name), asked, here.world.now())
        here.configs[name] = made
        here.world.tags[made.arn] = tags_of(asked)
    return {"EndpointConfigArn": made.arn}


def _model_exists(world: World, name: str) -> None:
    client = world.client("sagemaker")
    try:
        client.describe_model(ModelName=name)
    except client.exceptions.ClientError as error:
        raise invalid(error.response["Error"]["Message"]) from None


def _describe_config(call: Call) -> Params:
    config = hosting().config(call.params["EndpointConfigName"])
    shown = {name: value for name, value in config.asked.items() if name != "Tags"}
    return {**shown, "EndpointConfigArn": config.arn, "CreationTime": config.created}


def _delete_config(call: Call) -> None:
    """AWS deletes one that is in use, too: whoever asks has to know (APIReference DeleteEndpointConfig, the note)."""
    here = hosting()
    config = here.config(call.params["EndpointConfigName"])
    del here.configs[config.name]
    here.world.tags.pop(config.arn, None)


def _list_configs(call: Call) -> Params:
    rows = [
        {"EndpointConfigName": c.name, "EndpointConfigArn": c.arn, "CreationTime": c.created}
        for c in hosting().configs.values()
        if call.params.get("NameContains", "") in c.name
    ]
    return page(call, "EndpointConfigs", rows)
