"""A turn killed before or after any call of any port, and done again: the same record, the same alarm, once."""

from datetime import datetime, timedelta

import pytest

from activities.bench import BenchActivities
from contracts.alarm import AlarmKind
from contracts.shadow import AdviseBench, BenchFit, BenchRequest, BenchState, KeepTurn, RaiseAlarm, ScorePeriod
from contracts.snapshot import TakeSnapshot
from contracts.training import Purpose, Tags, TrainChallenger
from platforms.ports import Platform
from policies.bench_turns import due_turns, horizons
from tests.activities.dying import Death, Killed
from tests.fakes import AS_OF, World, fake_platform
from tests.stories import a_policy

POLICY = a_policy(training={"judging": "shadow", "bench": {"warm_up": 2}}, gate={"resamples": 200})
TURNS = due_turns(reached=None, watermark=AS_OF, policy=POLICY)
TAGS = Tags(endpoint="bikes", incident="shadow", team="mobility", cost_center="cc-7")


def a_world() -> World:
    world = World(endpoint="bikes")
    world.champion(quality=0.6)
    return world


def play(platform: Platform) -> None:
    """All turns, as the workflow takes them; done again from the start, it finds what was done."""
    for turn in TURNS:
        state = platform.bench.read("bikes")
        if state is None or state.reached is None or state.reached < turn:
            take(platform, turn)
    state = platform.bench.read("bikes")
    assert state is not None
    alarm = state.turns[-1].alarm
    if alarm is not None and not state.turns[-1].raised:
        BenchActivities(platform).raise_alarm(RaiseAlarm(key=f"{alarm.id}/raised", endpoint="bikes", alarm=alarm))


def take(platform: Platform, turn: datetime) -> None:
    bench, mark = BenchActivities(platform), f"{turn:%Y%m%d}"
    window = {"data": POLICY.data, "as_of": turn, "horizons": horizons(POLICY), "holdout": timedelta(0), "tags": TAGS}
    snapshot = platform.features.snapshot(TakeSnapshot(key=f"s/{mark}", endpoint="bikes", **window))
    asked = {"endpoint": "bikes", "policy": POLICY}
    scored = bench.score_period(ScorePeriod(key=f"{mark}/scored", **asked, snapshot=snapshot))
    advice = bench.advise_bench(AdviseBench(**asked, snapshot=snapshot)) if turn == TURNS[-1] else None
    job = TrainChallenger(
        key=f"t/{mark}",
        endpoint="bikes",
        purpose=Purpose.REFIT,
        dataset=snapshot.dataset,
        features=POLICY.data.features,
        label=POLICY.data.label,
        recipe=POLICY.training.recipe,
        end=snapshot.as_of,
        tags=TAGS,
        max_runtime=timedelta(minutes=1),
        max_memory_mb=512,
    )
    fit = BenchFit(as_of=snapshot.as_of, challenger=platform.trainer.start(job).challenger)
    bench.keep_turn(
        KeepTurn(
            key=f"{mark}/kept",
            **asked,
            as_of=snapshot.as_of,
            dataset=snapshot.dataset.sha256,
            fit=fit,
            advice=advice,
            rows=scored.rows,
            advised_from=TURNS[-1],
            final=turn == TURNS[-1],
        )
    )


def told(world: World) -> tuple[BenchState, list[str]]:
    return world.bench[-1], [alarm.id for alarm in world.raised]


UNTROUBLED = Death()
_first = a_world()
play(UNTROUBLED.on(fake_platform(_first)))
EXPECTED = told(_first)


def test_the_untroubled_play_ends_with_an_improvement_alarm_that_was_taken() -> None:
    state, raised = EXPECTED
    assert [alarm.kind for alarm in _first.raised] == [AlarmKind.IMPROVEMENT]
    assert state.turns[-1].raised
    assert len(raised) == 1
    assert len(state.fits) == len(TURNS)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", [n for n, name in enumerate(UNTROUBLED.calls, 1) if name.split(".")[0] in ("bench", "alarms")])
def test_killed_at_any_call_and_done_again_it_ends_the_same(at: int, after: bool) -> None:
    world = a_world()
    with pytest.raises(Killed):
        play(Death(at, after=after).on(fake_platform(world)))
    play(fake_platform(world))
    assert told(world) == EXPECTED


def test_done_twice_it_is_the_same_as_once() -> None:
    world = a_world()
    play(fake_platform(world))
    bench = BenchActivities(fake_platform(world))
    alarm = world.raised[0]
    assert bench.raise_alarm(RaiseAlarm(key=f"{alarm.id}/raised", endpoint="bikes", alarm=alarm)).taken
    assert told(world) == EXPECTED


def test_another_recipe_begins_a_new_record_and_the_revisions_go_on() -> None:
    world = a_world()
    platform = fake_platform(world)
    play(platform)
    learner = POLICY.training.recipe.learner.model_copy(update={"rounds": 5})
    recipe = POLICY.training.recipe.model_copy(update={"learner": learner})
    other = POLICY.model_copy(update={"training": POLICY.training.model_copy(update={"recipe": recipe})})
    plan = BenchActivities(platform).plan_bench(BenchRequest(endpoint="bikes", policy=other))
    same = BenchActivities(platform).plan_bench(BenchRequest(endpoint="bikes", policy=POLICY))
    assert plan.reached is None
    assert same.reached == TURNS[-1]
    assert len(plan.due) == len(TURNS)
