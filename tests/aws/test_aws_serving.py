"""What serving on SageMaker does beyond the port: guardrails, adoption, a warm way back, capacity that is kept.

Every call of it is played against every fault in the fault matrix.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.rollout import CheckBake, Deployment, DeployModel, ServingPolicy
from contracts.training import ModelRef
from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.aws.serving import AwsServing
from platforms.errors import Invalid, NotFound, Unavailable
from tests.aws.hosted import alarm, becomes, until
from tests.aws.shelf import Shelf
from tests.aws.simulator import Simulator

pytestmark = pytest.mark.processes
CANARY = {"kind": "canary", "size": 50, "wait": "10m", "timeout": "2h"}


class Endpoint:
    """One endpoint through the port, as a worker uses it: a new object for each attempt."""

    def __init__(self, aws: Aws, objects: Objects, simulator: Simulator, name: str) -> None:
        self._aws, self._objects = aws, objects
        self.shelf = Shelf(objects)
        self._simulator = simulator
        self.name = name
        self.sagemaker = f"{aws.settings.endpoint_prefix}{name}"

    @property
    def port(self) -> AwsServing:
        return AwsServing(self._aws, self._objects, self.shelf)

    def model(self, seed: int, *, broken: bool = False) -> ModelRef:
        return self.shelf.put(self.name, seed, broken=broken)

    def ask(self, model: ModelRef, key: str, *, urgent: bool = False, **serving: Any) -> Deployment:
        policy = ServingPolicy.model_validate({"instances": 2, **serving})
        return self.port.deploy(DeployModel(key=key, model=model, serving=policy, urgent=urgent))

    def land(self, model: ModelRef, key: str, **how: Any) -> Deployment:
        self.ask(model, key, **how)
        return self.settled()

    def settled(self) -> Deployment:
        found = self.port.describe(self.name)

        def over() -> bool:
            nonlocal found
            found = self.port.describe(self.name)
            return found.landed or found.failure is not None

        until(over)
        return found

    def told(self) -> dict[str, Any]:
        return self._aws.call("sagemaker", "describe_endpoint", EndpointName=self.sagemaker)

    def done(self, operation: str) -> int:
        """How often SageMaker did so for this endpoint's deployments."""
        calls = self._simulator.calls("sagemaker", operation)
        return sum(1 for call in calls if call["outcome"].startswith("ok") and self.name in str(call["params"]))


@pytest.fixture
def place(aws: Aws, objects: Objects, simulator: Simulator) -> Any:
    return lambda name: Endpoint(aws, objects, simulator, name)


def test_a_canary_that_an_alarm_brings_back_is_told_and_the_champion_needs_nothing(aws: Aws, place: Any) -> None:
    here, guard = place("canary"), alarm(aws, "errors")
    champion, challenger = here.model(1), here.model(2)
    here.land(champion, "k1")
    here.ask(challenger, "k2", shift=CANARY | {"alarms": [guard]})
    until(lambda: here.port.describe("canary").digests.get(challenger.digest) == 2)
    assert not here.port.describe("canary").landed
    becomes(aws, guard, "ALARM")
    failed = here.settled()
    assert failed.wanted == challenger.digest
    assert failed.failure is not None
    assert failed.failure.startswith("SageMaker went back to the former model")
    assert guard in failed.failure
    assert here.ask(challenger, "k2", shift=CANARY | {"alarms": [guard]}).failure == failed.failure
    restored = here.ask(champion, "k3", urgent=True)
    assert (restored.landed, restored.wanted, restored.failure) == (True, champion.digest, None)
    assert here.done("UpdateEndpoint") == 1


def test_a_rollback_that_sagemaker_gives_no_reason_for_is_no_success(simulator: Simulator, place: Any) -> None:
    here = place("silent")
    here.land(here.model(1), "k1")
    simulator.fault("sagemaker", "UpdateEndpoint", "capacity")
    failed = here.land(here.model(2), "k2")
    assert failed.failure == "SageMaker went back to the former model: SageMaker gives no reason"


def test_a_model_that_no_container_can_serve_never_takes_over(place: Any) -> None:
    here = place("broken")
    champion = here.model(1)
    here.land(champion, "k1")
    failed = here.land(here.model(9, broken=True), "k2")
    assert "did not pass the ping health check" in str(failed.failure)
    assert failed.digests == {champion.digest: 2}
    first = place("never")
    assert "has failed" in str(first.land(first.model(9, broken=True), "k1").failure)
    with pytest.raises(Invalid, match="only be deleted"):
        first.ask(first.model(1), "k2")


def test_an_alarm_that_rings_already_guards_nothing_and_that_is_said(aws: Aws, place: Any) -> None:
    here, rings, quiet = place("ringing"), alarm(aws, "drift", "ALARM"), alarm(aws, "quiet")
    here.land(here.model(1), "k1")
    landed = here.land(here.model(2), "k2", shift={"alarms": [rings, quiet], "wait": "1m"})
    assert landed.landed
    assert landed.notes == (f"alarm {rings} did not guard this deployment: it was in ALARM before it began",)
    used = here.told()["LastDeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    assert used == [{"AlarmName": quiet}]
    with pytest.raises(Invalid, match="names nowhere, which doesn't exist"):
        here.ask(here.model(3), "k3", shift={"alarms": ["nowhere"]})
    assert here.port.describe("ringing").wanted == landed.wanted


def test_a_deployment_waits_for_the_one_that_runs(aws: Aws, place: Any) -> None:
    here, guard = place("busy"), alarm(aws, "busy")
    here.land(here.model(1), "k1")
    here.ask(here.model(2), "k2", shift=CANARY | {"alarms": [guard], "wait": "30m"})
    with pytest.raises(Unavailable, match="has to end first"):
        here.ask(here.model(3), "k3")
    becomes(aws, guard, "ALARM")
    here.settled()
    assert here.land(here.model(3), "k3").landed


def test_going_back_takes_the_former_configuration_at_once_and_no_alarm_stops_it(aws: Aws, place: Any) -> None:
    here, guard = place("back"), alarm(aws, "guard")
    former, bad = here.model(1), here.model(2)
    here.land(former, "k1")
    config = here.told()["EndpointConfigName"]
    here.land(bad, "k2", shift={"alarms": [guard], "wait": "1m"})
    becomes(aws, guard, "ALARM")
    made = here.done("CreateEndpointConfig")
    assert here.land(former, "k3", urgent=True, shift=CANARY | {"alarms": [guard]}).landed
    told = here.told()
    assert told["EndpointConfigName"] == config
    assert "AutoRollbackConfiguration" not in told["LastDeploymentConfig"]
    assert told["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"
    assert here.done("CreateEndpointConfig") == made


def test_only_what_a_rollback_may_need_is_kept(aws: Aws, place: Any) -> None:
    here = place("tidy")
    """A deployment that went back takes nobody's place among them."""
    models = [here.model(seed) for seed in range(1, 5)]
    for number, model in enumerate(models):
        here.land(model, f"k{number}")
    answer = aws.call("sagemaker", "list_endpoint_configs", NameContains=f"{aws.settings.prefix}-tidy")
    configs = [config["EndpointConfigName"] for config in answer["EndpointConfigs"]]
    assert len(configs) == 3
    assert here.told()["EndpointConfigName"] in configs
    here.land(here.model(9, broken=True), "broken")
    assert here.ask(models[3], "restored", urgent=True).landed
    made = here.done("CreateEndpointConfig")
    assert here.land(models[2], "back", urgent=True).landed
    assert here.done("CreateEndpointConfig") == made


def test_capacity_that_scaling_reached_survives_a_promotion(aws: Aws, place: Any) -> None:
    here = place("scaled")
    here.land(here.model(1), "k1")
    target = {"ServiceNamespace": "sagemaker", "ResourceId": f"endpoint/{here.sagemaker}/variant/AllTraffic"}
    target |= {"ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
    aws.call("application-autoscaling", "register_scalable_target", MinCapacity=4, MaxCapacity=6, **target)
    until(lambda: here.told()["ProductionVariants"][0]["CurrentInstanceCount"] == 4)
    here.ask(here.model(2), "k2")
    aws.call("application-autoscaling", "register_scalable_target", MinCapacity=1, MaxCapacity=6, **target)
    landed = here.settled()
    assert (landed.instances, landed.ready) == (4, 4)
    bounds = aws.call("application-autoscaling", "describe_scalable_targets", ServiceNamespace="sagemaker")["ScalableTargets"]
    assert [(b["MinCapacity"], b["MaxCapacity"]) for b in bounds if here.sagemaker in b["ResourceId"]] == [(4, 6)]
    with pytest.raises(Invalid, match="deregister its scalable target first"):
        here.ask(here.model(3), "k3", instance_type="ml.c5.xlarge")
    assert here.land(here.model(4), "k4", instances=5).instances == 5


def test_a_rollback_that_nobody_saw_is_not_tried_again(simulator: Simulator, place: Any) -> None:
    """The worker dies between SageMaker's yes and its own mark; the next attempt finds the endpoint at rest on the old model."""
    here = place("unseen")
    here.land(here.model(1), "k1")
    broken = here.model(9, broken=True)
    simulator.reset()
    simulator.fault("s3", "PutObject", "timeout_before", after=1)
    with pytest.raises(Unavailable):
        here.ask(broken, "k2")
    until(lambda: here.told()["EndpointStatus"] == "InService")
    assert "did not pass the ping health check" in str(here.ask(broken, "k2").failure)
    assert here.done("UpdateEndpoint") == 1


def test_an_old_rollbacks_reason_is_not_taken_for_a_new_one(aws: Aws, simulator: Simulator, place: Any) -> None:
    """Throttled before it was asked for; meanwhile something else changes the endpoint, whose last reason is still told."""
    here = place("stale")
    here.land(here.model(1), "k1")
    assert here.land(here.model(9, broken=True), "k2").failure
    simulator.fault("sagemaker", "UpdateEndpoint", "throttle")
    wanted = here.model(2)
    with pytest.raises(Unavailable):
        here.ask(wanted, "k3")
    weights = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}]
    aws.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=here.sagemaker, DesiredWeightsAndCapacities=weights
    )
    until(lambda: here.told()["EndpointStatus"] == "InService")
    assert "ping health check" in here.told()["FailureReason"]
    assert here.land(wanted, "k3").landed


def test_an_endpoint_that_somebody_deleted_is_not_found(aws: Aws, place: Any) -> None:
    here = place("deleted")
    here.land(here.model(1), "k1")
    aws.call("sagemaker", "delete_endpoint", EndpointName=here.sagemaker)
    with pytest.raises(NotFound, match="is gone from SageMaker"):
        here.port.describe("deleted")
    assert here.land(here.model(1), "k2").landed


def test_the_bake_fails_where_an_alarm_of_the_endpoint_rings(aws: Aws, place: Any) -> None:
    here, guard = place("baking"), alarm(aws, "latency")
    here.land(here.model(1), "k1")
    model = here.model(2)
    here.land(model, "k2", shift={"alarms": [guard], "wait": "1m"})
    check = CheckBake(endpoint="baking", digest=model.digest, since=datetime.now(UTC) - timedelta(1), max_error_rate=0.1)
    assert here.port.health(check).healthy
    becomes(aws, guard, "ALARM")
    report = here.port.health(check)
    assert not report.healthy
    assert guard in report.sentence
