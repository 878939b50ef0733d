"""Promotions and ways back through the activities, against SageMaker endpoints that really move their traffic."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.promotion import PromotionActivities
from contracts.rollout import PromoteChallenger, Promotion, RollBack, ServingPolicy
from contracts.training import Challenger, ModelRef, Purpose, Recipe
from platforms.aws.calls import Aws
from platforms.aws.manifests import AwsManifests
from platforms.aws.objects import Objects
from platforms.aws.registry import AwsRegistry
from platforms.aws.serving import AwsServing
from platforms.pace import Pace
from platforms.ports import Platform
from tests.activities.dying import Death, Killed
from tests.aws.hosted import alarm, becomes, blue_green, until
from tests.aws.shelf import FEATURES, Shelf
from tests.aws.simulator import Simulator
from tests.fakes import AS_OF, World, digest, fake_platform

pytestmark = pytest.mark.processes
CANARY = {"kind": "canary", "size": 50, "wait": "15m", "timeout": "2h"}


class Loop:
    """What a worker does for one endpoint; every attempt opens the platform anew."""

    def __init__(self, aws: Aws, objects: Objects, simulator: Simulator, endpoint: str) -> None:
        self.aws, self._objects, self._simulator, self.endpoint = aws, objects, simulator, endpoint
        self.shelf = Shelf(objects)

    def platform(self) -> Platform:
        registry = AwsRegistry(self.aws, self._objects)
        return fake_platform(
            World(endpoint=self.endpoint),
            registry=registry,
            manifests=AwsManifests(self._objects),
            serving=AwsServing(self.aws, self._objects, registry),
            pace=Pace(land_seconds=90, land_poll=0.1),
        )

    def promote(self, model: ModelRef, key: str, death: Death | None = None, **serving: Any) -> Promotion:
        now = self.platform().manifests.read(self.endpoint)
        request = PromoteChallenger(
            key=key,
            challenger=_challenger(model, self.shelf.get(model).artifact_uri),
            incident="i",
            as_of=AS_OF,
            serving=ServingPolicy.model_validate({"instances": 2, **serving}),
            reference={},
            expected=now.champion.digest if now else None,
            recipe=Recipe(),
            features=FEATURES,
        )
        platform = death.on(self.platform()) if death else self.platform()
        done: Promotion = ActivityEnvironment().run(PromotionActivities(platform).promote_challenger, request)
        return done

    def back(self, key: str, step: str, **serving: Any) -> Any:
        policy = ServingPolicy.model_validate({"instances": 2, **serving})
        request = RollBack(key=key, endpoint=self.endpoint, incident="i", serving=policy)
        return ActivityEnvironment().run(getattr(PromotionActivities(self.platform()), step), request)

    def champion(self) -> str | None:
        now = self.platform().manifests.read(self.endpoint)
        return now.champion.digest if now else None

    def updates(self) -> int:
        return sum(1 for call in self._simulator.calls("sagemaker", "UpdateEndpoint") if call["outcome"].startswith("ok"))


def _challenger(model: ModelRef, uri: str) -> Challenger:
    return Challenger(
        model=model,
        artifact_uri=uri,
        purpose=Purpose.REFIT,
        trained_through=AS_OF,
        rows=400,
        positives=200,
        base_rate=0.5,
        dataset_sha256=digest("dataset"),
    )


@pytest.fixture
def loop(aws: Aws, objects: Objects, simulator: Simulator) -> Any:
    return lambda endpoint: Loop(aws, objects, simulator, endpoint)


def test_a_promotion_that_an_alarm_brings_back_fails_with_the_reason_and_restoring_has_nothing_to_do(aws: Aws, loop: Any) -> None:
    here, guard = loop("guarded"), alarm(aws, "errors")
    champion, challenger = here.shelf.put("guarded", 1), here.shelf.put("guarded", 2)
    here.promote(champion, "k1")

    def ring() -> None:
        until(lambda: here.platform().serving.describe("guarded").digests.get(challenger.digest) == 2)
        becomes(aws, guard, "ALARM")

    ringing = threading.Thread(target=ring)
    ringing.start()
    with pytest.raises(ApplicationError, match=f"SageMaker went back to the former model.*{guard}") as failed:
        here.promote(challenger, "k2", shift=CANARY | {"alarms": [guard]})
    ringing.join()
    assert failed.value.non_retryable
    assert here.champion() == champion.digest
    restored = here.back("k3", "restore_serving", shift=CANARY | {"alarms": [guard]})
    assert (restored.landed, restored.wanted) == (True, champion.digest)
    assert here.updates() == 1


def test_a_promotion_and_a_way_back_end_in_manifest_and_service_alike(loop: Any) -> None:
    here = loop("there-and-back")
    first, second = here.shelf.put("there-and-back", 1), here.shelf.put("there-and-back", 2)
    here.promote(first, "k1")
    done = here.promote(second, "k2", shift=CANARY | {"wait": "1m"})
    assert (done.deployment.landed, done.former) == (True, first)
    manifest = here.back("k3", "roll_back", shift=CANARY)
    assert manifest.champion == first
    assert here.platform().serving.describe("there-and-back").digests == {first.digest: 2}


def test_a_promotion_waits_for_whoever_updates_the_endpoint(aws: Aws, simulator: Simulator, loop: Any) -> None:
    here = loop("shared")
    here.promote(here.shelf.put("shared", 1), "k1")
    name = f"{aws.settings.endpoint_prefix}shared"
    second = here.shelf.put("shared", 2)
    config = aws.call("sagemaker", "describe_endpoint", EndpointName=name)["EndpointConfigName"]
    theirs = {"EndpointConfigName": config, "DeploymentConfig": blue_green(end=3600)}
    aws.call("sagemaker", "update_endpoint", EndpointName=name, **theirs)
    with pytest.raises(ApplicationError, match="has to end first") as early:
        here.promote(second, "k2")
    assert not early.value.non_retryable
    until(lambda: _baking(aws.call("sagemaker", "describe_endpoint", EndpointName=name)))
    simulator.advance(3600)
    until(lambda: aws.call("sagemaker", "describe_endpoint", EndpointName=name)["EndpointStatus"] == "InService")
    assert here.promote(second, "k2").deployment.digests == {second.digest: 2}


def _baking(told: dict[str, Any]) -> bool:
    return told["PendingDeploymentSummary"]["ProductionVariants"][0]["VariantStatus"][0]["Status"] == "Baking"


@pytest.mark.parametrize("last", ["serving.deploy", "manifests.write"])
def test_a_worker_killed_in_the_middle_is_followed_by_one_that_takes_over(loop: Any, last: str) -> None:
    here = loop("killed")
    here.promote(here.shelf.put("killed", 1), "k1")
    second = here.shelf.put("killed", 2)
    with pytest.raises(Killed, match=last):
        here.promote(second, "k2", DeathAt(last))
    done = here.promote(second, "k2")
    assert done.manifest.champion == second
    assert done.deployment.landed
    assert here.updates() == 1


class DeathAt(Death):
    """Just after the first call of this name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def guard(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if name == self._name:
                raise Killed(name)
            return result

        return guarded
