"""Another shift into service and back: killed just before or after any call of a port and run again, it ends the same."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.promotion import PromotionActivities
from activities.recalibration import RecalibrationActivities
from contracts.rollout import Manifest, RecalibrateChampion, UndoRecalibration
from contracts.training import ModelRef, ModelStatus
from platforms.ports import Platform
from tests.activities.dying import Death, Killed
from tests.activities.test_promotion import SERVING, a_world, go_back, promote, the_end
from tests.fakes import AS_OF, World, digest, fake_platform

Step = Callable[[RecalibrationActivities], Any]
KEY = "incident/recalibrate/1"
LATER = AS_OF + timedelta(days=7)


def run(platform: Platform, step: Step) -> Any:
    """One attempt, as a worker makes it."""
    return ActivityEnvironment().run(step, RecalibrationActivities(platform))


def recalibrate(shift: float = 0.25, champion: str = digest("second"), key: str = KEY) -> Step:
    request = RecalibrateChampion(
        key=key,
        champion=ModelRef(endpoint="bikes", digest=champion),
        shift=(shift,),
        incident="i",
        as_of=LATER,
        serving=SERVING,
    )
    return lambda activities: activities.recalibrate_champion(request)


def undo(activities: RecalibrationActivities) -> Any:
    request = UndoRecalibration(key="incident/undo/1", recalibration=KEY, endpoint="bikes", incident="i", serving=SERVING)
    return activities.undo_recalibration(request)


def done(world: World, shift: float = 0.25) -> Manifest:
    """A world whose champion was recalibrated once more."""
    champion, key = world.manifests[-1].champion.digest, f"done/{len(world.manifests)}/{shift}"
    manifest: Manifest = run(fake_platform(world), recalibrate(shift, champion, key)).manifest
    return manifest


def recalibrated_world() -> World:
    world, _, _ = a_world()
    run(fake_platform(world), recalibrate())
    return world


def fresh_world() -> World:
    return a_world()[0]


CASES: dict[str, tuple[Callable[[], World], Step]] = {
    "recalibrate": (fresh_world, recalibrate()),
    "undo what was written": (recalibrated_world, undo),
    "undo what never was": (fresh_world, undo),
}


def _calls(name: str) -> int:
    make, step = CASES[name]
    death = Death()
    run(death.on(fake_platform(make())), step)
    return len(death.calls)


DEATHS = [(name, at, after) for name in CASES for at in range(1, _calls(name) + 1) for after in (False, True)]


@pytest.mark.parametrize(("name", "at", "after"), DEATHS)
def test_killed_anywhere_and_run_again_it_ends_the_same(name: str, at: int, after: bool) -> None:
    make, step = CASES[name]
    smooth, world = make(), make()
    wanted = run(fake_platform(smooth), step)
    with pytest.raises(Killed):
        run(Death(at, after=after).on(fake_platform(world)), step)
    assert run(fake_platform(world), step) == wanted
    assert the_end(world) == the_end(smooth)


@pytest.mark.parametrize("name", CASES)
def test_run_twice_is_the_same_as_once(name: str) -> None:
    make, step = CASES[name]
    world = make()
    first = run(fake_platform(world), step)
    end = the_end(world)
    assert run(fake_platform(world), step) == first
    assert the_end(world) == end


def test_a_recalibrated_champion_is_the_same_model_with_another_shift() -> None:
    world, first, second = a_world()
    before = world.manifests[-1]
    manifest = run(fake_platform(world), recalibrate()).manifest
    card = world.cards[manifest.champion.digest]
    assert (card.derived_from, card.shift) == (second.digest, (0.25,))
    assert (card.trained_through, card.recipe) == (world.cards[second.digest].trained_through, world.cards[second.digest].recipe)
    assert (manifest.promoted_as_of, manifest.served_from) == (before.promoted_as_of, LATER)
    assert manifest.recalibration
    assert manifest.lineage == (second.digest, first.digest)
    assert world.cards[second.digest].status is ModelStatus.RETIRED
    assert card.status is ModelStatus.CHAMPION


def test_shifts_never_pile_up_and_do_not_crowd_out_former_champions() -> None:
    world, first, second = a_world()
    shifts = [done(world, 0.1 * n) for n in range(1, 30)]
    assert {world.cards[m.champion.digest].derived_from for m in shifts} == {second.digest}
    assert shifts[-1].lineage == (shifts[-2].champion.digest, first.digest)


def test_a_rollback_goes_back_to_the_former_shift_and_then_to_the_former_champion() -> None:
    world, first, second = a_world()
    done(world, 0.25)
    roll_back = lambda activities, n: activities.roll_back(go_back(f"back/{n}"))  # noqa: E731 - two calls of the same
    environment, activities = ActivityEnvironment(), PromotionActivities(fake_platform(world))
    assert environment.run(roll_back, activities, 1).champion == second
    assert environment.run(roll_back, activities, 2).champion == first


def test_a_promotion_over_a_recalibrated_champion_goes_back_to_it_as_it_served() -> None:
    world, first, _ = a_world()
    served = done(world, 0.25).champion
    step = promote(expected=served.digest)
    manifest = ActivityEnvironment().run(step, PromotionActivities(fake_platform(world))).manifest
    assert manifest.lineage == (served.digest, first.digest)
    assert not manifest.recalibration


def test_turned_off_the_trained_model_serves_as_it_was() -> None:
    world, _, second = a_world()
    done(world, 0.25)
    off = done(world, 0.0)
    assert world.cards[off.champion.digest].derived_from == second.digest
    assert off.promoted_as_of == world.manifests[1].promoted_as_of


@pytest.mark.parametrize(
    ("world", "champion", "words"),
    [(fresh_world, digest("first"), "ask the bench again"), (lambda: World(endpoint="bikes"), digest("first"), "is none")],
)
def test_a_champion_that_changed_since_is_a_conflict_and_nothing_is_done(
    world: Callable[[], World], champion: str, words: str
) -> None:
    there = world()
    before = list(there.manifests)
    with pytest.raises(ApplicationError, match=words) as seen:
        run(fake_platform(there), recalibrate(champion=champion))
    assert (seen.value.type, seen.value.non_retryable) == ("Conflict", True)
    assert there.manifests == before


def test_the_shift_that_serves_already_is_a_conflict() -> None:
    world = fresh_world()
    now = done(world, 0.25).champion.digest
    with pytest.raises(ApplicationError, match="there is nothing to do"):
        run(fake_platform(world), recalibrate(0.25, now, "again"))


def test_undone_the_champion_of_before_serves() -> None:
    world, _, second = a_world()
    run(fake_platform(world), recalibrate())
    assert run(fake_platform(world), undo).wanted == second.digest
    assert world.manifests[-1].champion == second
    assert world.serving["bikes"].model == second
