"""Into service and back: killed just before or after any call of a port and run again, it ends the same."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.promotion import PromotionActivities
from contracts.rollout import Deployment, DeployModel, PromoteChallenger, RollBack, ServingPolicy
from contracts.training import Challenger, ModelRef, ModelStatus, Purpose, Recipe
from platforms.pace import Pace
from platforms.ports import Platform
from tests.activities.dying import Death, Killed
from tests.fakes import AS_OF, FakeServing, World, digest, fake_platform

SERVING = ServingPolicy()
Step = Callable[[PromotionActivities], Any]


def run(platform: Platform, step: Step) -> Any:
    """One attempt, as a worker makes it."""
    return ActivityEnvironment().run(step, PromotionActivities(platform))


def a_world() -> tuple[World, ModelRef, ModelRef]:
    """Two champions in a row; the second serves."""
    world = World(endpoint="bikes")
    first, second = world.champion("first"), world.champion("second")
    platform = fake_platform(world)
    platform.registry.mark(second, ModelStatus.CHAMPION)
    platform.serving.deploy(DeployModel(key="first/second", model=second, serving=SERVING))
    return world, first, second


def promote(expected: str | None = digest("second"), key: str = "incident/promote/1") -> Step:
    challenger = Challenger(
        model=ModelRef(endpoint="bikes", digest=digest("refit")),
        artifact_uri="mem:refit",
        purpose=Purpose.REFIT,
        trained_through=AS_OF,
        rows=1000,
        positives=400,
        base_rate=0.4,
        dataset_sha256=digest("dataset"),
    )
    request = PromoteChallenger(
        key=key,
        challenger=challenger,
        incident="i",
        as_of=AS_OF,
        serving=SERVING,
        reference={"accuracy": 0.9},
        expected=expected,
        recipe=Recipe(),
        features=("truth", "noise"),
    )
    return lambda activities: activities.promote_challenger(request)


def go_back(key: str = "incident/rollback/1", bad: str | None = None) -> RollBack:
    return RollBack(key=key, endpoint="bikes", incident="i", serving=SERVING, bad=bad)


def roll_back(key: str = "incident/rollback/1", bad: str | None = None) -> Step:
    return lambda activities: activities.roll_back(go_back(key, bad))


def restore(activities: PromotionActivities) -> Any:
    return activities.restore_serving(go_back("incident/restore/1"))


@dataclass(frozen=True)
class End:
    """All that a step may leave behind."""

    manifests: tuple[Any, ...]
    statuses: dict[str, ModelStatus]
    served: str


def the_end(world: World) -> End:
    statuses = {name: card.status for name, card in world.cards.items()}
    return End(tuple(world.manifests), statuses, world.serving["bikes"].model.digest)


STEPS: dict[str, Step] = {"promote": promote(), "roll back": roll_back(), "restore": restore}


def _calls(step: Step) -> int:
    world, _, _ = a_world()
    death = Death()
    run(death.on(fake_platform(world)), step)
    return len(death.calls)


DEATHS = [(name, at, after) for name, step in STEPS.items() for at in range(1, _calls(step) + 1) for after in (False, True)]


@pytest.mark.parametrize(("name", "at", "after"), DEATHS)
def test_killed_anywhere_and_run_again_it_ends_the_same(name: str, at: int, after: bool) -> None:
    step = STEPS[name]
    smooth, _, _ = a_world()
    wanted = run(fake_platform(smooth), step)
    world, _, _ = a_world()
    with pytest.raises(Killed):
        run(Death(at, after=after).on(fake_platform(world)), step)
    assert run(fake_platform(world), step) == wanted
    assert the_end(world) == the_end(smooth)


@pytest.mark.parametrize("name", STEPS)
def test_run_twice_is_the_same_as_once(name: str) -> None:
    world, _, _ = a_world()
    platform = fake_platform(world)
    first = run(platform, STEPS[name])
    end = the_end(world)
    assert run(platform, STEPS[name]) == first
    assert the_end(world) == end


def test_a_promotion_retires_the_champion_and_remembers_it() -> None:
    world, first, second = a_world()
    promotion = run(fake_platform(world), promote())
    assert promotion.former == second
    assert promotion.manifest.revision == 3
    assert promotion.manifest.lineage == (second.digest, first.digest)
    assert world.cards[second.digest].status is ModelStatus.RETIRED
    assert world.cards[promotion.manifest.champion.digest].status is ModelStatus.CHAMPION


def test_a_champion_that_changed_since_the_evidence_is_a_conflict_and_nothing_is_done() -> None:
    world, _, _ = a_world()
    before = the_end(world)
    with pytest.raises(ApplicationError, match="changed since the evidence was made") as seen:
        run(fake_platform(world), promote(expected=digest("first")))
    assert (seen.value.type, seen.value.non_retryable) == ("Conflict", True)
    assert the_end(world) == before


def test_a_rollback_marks_the_bad_model_and_forgets_it() -> None:
    world, first, second = a_world()
    manifest = run(fake_platform(world), roll_back(bad=second.digest))
    assert manifest.champion == first
    assert manifest.lineage == ()
    assert world.cards[second.digest].status is ModelStatus.ROLLED_BACK
    assert world.cards[first.digest].status is ModelStatus.CHAMPION


def test_a_rollback_of_a_model_that_was_replaced_already_is_a_conflict() -> None:
    world, first, _ = a_world()
    with pytest.raises(ApplicationError, match="has been replaced already") as seen:
        run(fake_platform(world), roll_back(bad=first.digest))
    assert seen.value.type == "Conflict"


@pytest.mark.parametrize(("champions", "words"), [(0, "nothing was ever promoted"), (1, "has no former champion")])
def test_with_nothing_to_go_back_to_the_rollback_says_so(champions: int, words: str) -> None:
    world = World(endpoint="bikes")
    for n in range(champions):
        world.champion(f"champion {n}")
    with pytest.raises(ApplicationError, match=words) as seen:
        run(fake_platform(world), roll_back())
    assert (seen.value.type, seen.value.non_retryable) == ("NotFound", True)


def test_before_the_first_promotion_there_is_nothing_to_restore() -> None:
    assert run(fake_platform(World(endpoint="bikes")), restore) is None


@dataclass
class Landing(FakeServing):
    """Instances that take up a model only after some looks, or say why they don't."""

    looks: int = 0
    failure: str | None = None

    def describe(self, endpoint: str) -> Deployment:
        wanted = FakeServing.describe(self, endpoint)
        self.looks -= 1
        landed = self.looks < 0 and self.failure is None
        return wanted.model_copy(update={"instances": 2, "ready": 2 if landed else 0, "failure": self.failure})


def _landing(world: World, **how: Any) -> Platform:
    return replace(fake_platform(world), serving=Landing(world, **how))


@dataclass
class Slow(FakeServing):
    """Calls of seconds, as to a cloud."""

    def deploy(self, request: DeployModel) -> Deployment:
        time.sleep(0.3)
        return FakeServing.deploy(self, request)


def test_a_call_that_takes_long_is_not_taken_for_a_dead_worker() -> None:
    world, _, _ = a_world()
    environment, beats = ActivityEnvironment(), list[tuple[Any, ...]]()
    environment.info = replace(environment.info, heartbeat_timeout=timedelta(milliseconds=80))
    environment.on_heartbeat = lambda *details: beats.append(details)
    environment.run(promote(), PromotionActivities(replace(fake_platform(world), serving=Slow(world))))
    assert len(beats) > 3
    before = len(beats)
    time.sleep(0.1)
    assert len(beats) == before, "nobody beats for a step that has ended"


def test_the_manifest_is_written_only_once_every_instance_answers_with_the_model() -> None:
    world, _, _ = a_world()
    promotion = run(_landing(world, looks=5), promote())
    assert promotion.deployment.landed


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ({"failure": "digest differs"}, "Corrupt", "the model is not in service: digest differs"),
        ({"looks": 10**6}, "Unavailable", "0 of 2 instances of bikes answer"),
    ],
)
def test_a_model_that_does_not_land_changes_no_manifest(how: dict[str, Any], kind: str, words: str) -> None:
    world, _, second = a_world()
    with pytest.raises(ApplicationError, match=words) as seen:
        run(replace(_landing(world, **how), pace=Pace(land_seconds=0.05, land_poll=0.01)), promote())
    assert seen.value.type == kind
    assert world.manifests[-1].champion == second
