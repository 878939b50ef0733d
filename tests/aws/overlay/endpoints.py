"""SageMaker endpoints and their configurations.

Sources: SageMaker APIReference CreateEndpointConfig, CreateEndpoint, UpdateEndpoint, UpdateEndpointWeightsAndCapacities,
DescribeEndpoint, DeleteEndpoint; refusals as seen in awslabs/spot-tagging-bot#2 (a configuration that exists),
ministryofjustice/modernisation-platform-environments#9383 (an endpoint that exists), aws-controllers-k8s and others
("Cannot update in-progress endpoint"), terraform-provider-aws#40048 (the old configuration is gone).
"""

from typing import Any, Final

from tests.aws.calls import Call, Refusal
from tests.aws.containers import NotRunnable
from tests.aws.overlay.deployments import PROVISION_SECONDS, Deployment, settle
from tests.aws.overlay.fleets import Config, Endpoint, Params, fleet_of, told
from tests.aws.overlay.hosting import Hosting, arn, hosting, invalid, named, page, tags_of
from tests.aws.world import World

_SCALE_SECONDS: Final = 60.0
_SIZES: Final = {"CanarySize": (1, 50), "LinearStepSize": (10, 50)}


def install(world: World) -> None:
    world.operation("sagemaker", "CreateEndpoint")(_create)
    world.operation("sagemaker", "DescribeEndpoint")(_describe)
    world.operation("sagemaker", "UpdateEndpoint")(_update)
    world.operation("sagemaker", "UpdateEndpointWeightsAndCapacities")(_set_capacity)
    world.operation("sagemaker", "DeleteEndpoint")(_delete)
    world.operation("sagemaker", "ListEndpoints")(_list)


def _create(call: Call) -> Params:
    here, asked = hosting(), call.params
    name = named(asked["EndpointName"], "endpointName")
    config = here.config(asked["EndpointConfigName"])
    with here.world.lock:
        if name in here.endpoints:
            raise invalid(f'Cannot create already existing endpoint "{arn("endpoint", name)}".')
        now = here.world.now()
        endpoint = Endpoint(name, arn("endpoint", name), now, now, fleet_of(config))
        endpoint.last_deployment = asked.get("DeploymentConfig")
        here.endpoints[name] = endpoint
        here.world.tags[endpoint.arn] = tags_of(asked)
    here.world.thread(lambda: _launch(here, endpoint))
    return {"EndpointArn": endpoint.arn}


def _launch(here: Hosting, endpoint: Endpoint) -> None:
    fleet = endpoint.live
    fleet.become("Creating", here.world.now())
    here.world.sleep(PROVISION_SECONDS)
    try:
        fleet.start(here.servers)
    except NotRunnable as error:
        endpoint.failure = str(error)
        settle(here.world, endpoint, "Failed")
        return
    for variant in fleet.variants:
        variant.count = variant.desired
    fleet.become(None, here.world.now())
    settle(here.world, endpoint, "InService")


def _describe(call: Call) -> Params:
    endpoint = hosting().endpoint(call.params["EndpointName"])
    with endpoint.lock:
        found: Params = {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "EndpointConfigName": endpoint.live.config.name,
            "ProductionVariants": told(endpoint.live),
            "EndpointStatus": endpoint.status,
            "CreationTime": endpoint.created,
            "LastModifiedTime": endpoint.modified,
        }
        if endpoint.live.capture:
            found["DataCaptureConfig"] = {
                "EnableCapture": endpoint.live.capture.get("EnableCapture", False),
                "CaptureStatus": "Started" if endpoint.live.capture.get("EnableCapture") else "Stopped",
                "CurrentSamplingPercentage": endpoint.live.capture["InitialSamplingPercentage"],
                "DestinationS3Uri": endpoint.live.capture["DestinationS3Uri"],
                "KmsKeyId": endpoint.live.capture.get("KmsKeyId", ""),
            }
        if endpoint.failure:
            found["FailureReason"] = endpoint.failure
        if endpoint.last_deployment:
            found["LastDeploymentConfig"] = endpoint.last_deployment
        if endpoint.pending is not None:
            found["PendingDeploymentSummary"] = {
                "EndpointConfigName": endpoint.pending.config.name,
                "ProductionVariants": told(endpoint.pending, current=False),
                "StartTime": endpoint.pending_since,
            }
    return found


def _update(call: Call) -> Params:
    here, asked = hosting(), call.params
    endpoint = here.endpoint(asked["EndpointName"])
    config = here.config(asked["EndpointConfigName"])
    with here.world.lock, endpoint.lock:
        here.idle(endpoint.name)
        if endpoint.status == "Failed":  # EndpointSummary: "DeleteEndpoint is the only operation" on a failed endpoint
            raise invalid(f'Cannot update failed endpoint "{endpoint.arn}".')
        here.config(endpoint.live.config.name)  # terraform-provider-aws#40048
        deployment = asked.get("DeploymentConfig") or {}
        if asked.get("RetainDeploymentConfig"):
            deployment = endpoint.last_deployment or {}
        endpoint.pending = _pending(endpoint, config, asked)
        try:
            _check(deployment, sum(variant.desired for variant in endpoint.pending.variants))
        except Refusal:
            endpoint.pending = None
            raise
        endpoint.pending_since = here.world.now()
        endpoint.last_deployment, endpoint.failure = deployment or None, None
        settle(here.world, endpoint, "Updating")
    here.world.thread(Deployment(here.world, here.servers, endpoint, deployment).run)
    return {"EndpointArn": endpoint.arn}


def _pending(endpoint: Endpoint, config: Config, asked: Params) -> Any:
    """APIReference UpdateEndpoint: RetainAllVariantProperties is false unless asked for, which resets the live instance count."""
    retained = (
        {"DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig"} if asked.get("RetainAllVariantProperties") else set()
    )
    retained -= {each["VariantPropertyType"] for each in asked.get("ExcludeRetainedVariantProperties") or ()}
    fleet = fleet_of(config, endpoint.live.capture if "DataCaptureConfig" in retained else None)
    before = {variant.name: variant for variant in endpoint.live.variants}
    for variant in fleet.variants:
        if (old := before.get(variant.name)) is None:
            continue
        if "DesiredInstanceCount" in retained:
            variant.desired = old.desired
        if "DesiredWeight" in retained:
            variant.weight = old.weight
    return fleet


def _check(deployment: Params, instances: int) -> None:
    """The limits that APIReference TrafficRoutingConfig and RollingUpdatePolicy state."""
    if "BlueGreenUpdatePolicy" in deployment and "RollingUpdatePolicy" in deployment:
        raise invalid("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified.")
    policy = deployment.get("BlueGreenUpdatePolicy") or {}
    routing = policy.get("TrafficRoutingConfiguration") or {}
    sizes = [(name, routing[name], bounds) for name, bounds in _SIZES.items() if name in routing]
    if rolling := deployment.get("RollingUpdatePolicy"):
        sizes.append(("MaximumBatchSize", rolling["MaximumBatchSize"], (5, 50)))
    for name, size, (least, most) in sizes:
        share = size["Value"] if size["Type"] == "CAPACITY_PERCENT" else 100 * size["Value"] / instances
        if not least <= share <= most or instances < 2:
            raise invalid(f"{name} must be between {least}% and {most}% of the variant's total instance count ({instances}).")
    waits = routing.get("WaitIntervalInSeconds", 0) + policy.get("TerminationWaitInSeconds", 0)
    if policy and waits >= policy.get("MaximumExecutionTimeoutInSeconds", 28_800):
        raise invalid("MaximumExecutionTimeoutInSeconds should be larger than the total waiting time.")


def _set_capacity(call: Call) -> Params:
    return {"EndpointArn": set_capacity(call.params["EndpointName"], call.params["DesiredWeightsAndCapacities"])}


def set_capacity(name: str, wanted: list[Params]) -> str:
    """Also what Application Auto Scaling calls."""
    here = hosting()
    with here.world.lock:
        endpoint = here.idle(name)
        variants = {variant.name: variant for variant in endpoint.live.variants}
        for each in wanted:
            if each["VariantName"] not in variants:
                raise invalid(f'The variant name(s) "{each["VariantName"]}" is/are not present within endpoint configuration.')
            variant = variants[each["VariantName"]]
            variant.desired = each.get("DesiredInstanceCount", variant.desired)
            variant.weight = each.get("DesiredWeight", variant.weight)
        settle(here.world, endpoint, "Updating")

    def reach() -> None:
        for variant in endpoint.live.variants:
            variant.count = variant.desired
        settle(here.world, endpoint, "InService")

    here.world.later(_SCALE_SECONDS, reach)
    return endpoint.arn


def _delete(call: Call) -> None:
    here = hosting()
    with here.world.lock:
        endpoint = here.idle(call.params["EndpointName"])
        del here.endpoints[endpoint.name]
        here.world.tags.pop(endpoint.arn, None)
    endpoint.live.stop(here.servers)
    settle(here.world, endpoint, "Deleted")


def _list(call: Call) -> Params:
    asked = call.params
    rows = [
        {
            "EndpointName": e.name,
            "EndpointArn": e.arn,
            "CreationTime": e.created,
            "LastModifiedTime": e.modified,
            "EndpointStatus": e.status,
        }
        for e in hosting().endpoints.values()
        if asked.get("NameContains", "") in e.name and asked.get("StatusEquals", e.status) == e.status
    ]
    return page(call, "Endpoints", rows)
