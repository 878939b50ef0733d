"""`judging: shadow`: the verdict is ready when the alarm comes; the refit ships, or the champion gets another shift, or nothing."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.incident import Accepted, Outcome, RollbackReport, Stage
from contracts.notices import NoticeKind
from contracts.review import Resolution
from contracts.training import ModelStatus, Purpose
from platforms.errors import Corrupt, Unavailable
from tests.benches import keep_a_record, shadow_policy
from tests.fakes import World
from tests.stories import Loop, an_alarm, running_loop, until

POLICY = shadow_policy()


def benched(*, champion: float = 0.6, bench: float = 0.9, bias: float = 0.0, **changes: object) -> World:
    """A champion of one quality, and nine weeks of a bench whose fits are of another."""
    world = World(**changes)  # type: ignore[arg-type]
    model = world.champion(quality=champion)
    world.bias[model.digest] = bias
    keep_a_record(world, POLICY, quality=bench)
    return world


async def test_an_improvement_alarm_ends_in_a_promotion_with_one_training_job(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = benched()
    before = world.manifests[-1].champion
    async with running_loop(temporal_env, world, task_queue, POLICY) as loop:
        await loop.alarm(an_alarm(kind="improvement"))
        state = (await loop.closed()).state
    assert state.history[0].outcome is Outcome.PROMOTED, state.history[0].sentence
    assert [job.purpose for job in world.jobs.values()] == [Purpose.REFIT]
    card = world.cards[world.manifests[-1].champion.digest]
    facts = world.records[-1].entry.facts
    assert [member.name for member in card.recipe.blended] == facts["advice"]["members"]
    assert card.status is ModelStatus.CHAMPION
    assert world.manifests[-1].lineage == (before.digest,)
    assert facts["evidence"]["refit"] == card.model.digest
    assert facts["judgement"]["refit"]["rows"] > 0
    assert world.resources == {}


async def test_a_calibration_alarm_gives_the_champion_another_shift_and_a_rollback_takes_it_back(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = benched(champion=0.9, bias=0.8)
    before = world.manifests[-1]
    async with running_loop(temporal_env, world, task_queue, POLICY) as loop:
        await loop.alarm(an_alarm(kind="calibration"))
        state = (await loop.closed()).state
        after = world.manifests[-1]
        report = await rolled_back(loop)
    incident = state.history[0]
    assert incident.outcome is Outcome.RECALIBRATED, incident.sentence
    assert not incident.promoted
    assert (state.cool_until, state.promoted_as_of, state.tokens) == (None, None, 1.0)
    card = world.cards[after.champion.digest]
    assert card.derived_from == before.champion.digest
    assert -1.2 < card.shift[0] < -0.4
    assert (after.promoted_as_of, after.recalibration) == (before.promoted_as_of, True)
    assert world.jobs == {}
    assert world.events()[:2] == ["decided", "closed"]
    assert "roll back" in world.notices[0].commands
    assert world.resources == {}
    assert (report.done, world.serving[world.endpoint].model) == (True, before.champion)


async def test_the_record_of_a_recalibration_is_written_before_it_or_nothing_is_done(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = benched(champion=0.9, bias=0.8, failures={"audit:decided": [Corrupt("the chain is broken at record 7")]})
    async with running_loop(temporal_env, world, task_queue, POLICY) as loop:
        await loop.alarm(an_alarm(kind="calibration"))
        state = (await loop.closed()).state
    assert state.history[0].outcome is Outcome.FAILED
    assert (world.deployed, len(world.manifests)) == ([], 1)


@pytest.mark.parametrize(("port", "writes"), [("manifest", 1), ("mark", 3)])
async def test_a_recalibration_that_breaks_off_leaves_the_champion_as_it_was(
    temporal_env: WorkflowEnvironment, task_queue: str, port: str, writes: int
) -> None:
    world = benched(champion=0.9, bias=0.8, failures={port: [Corrupt("can't be read")]})
    before = world.manifests[-1].champion
    async with running_loop(temporal_env, world, task_queue, POLICY) as loop:
        await loop.alarm(an_alarm(kind="calibration"))
        state = (await loop.closed()).state
    assert state.history[0].outcome is Outcome.FAILED
    assert world.serving[world.endpoint].model == before
    assert (world.manifests[-1].champion, len(world.manifests)) == (before, writes)


async def test_a_recalibrated_champion_that_answers_with_errors_goes_back(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = benched(champion=0.9, bias=0.8, healthy=False)
    before = world.manifests[-1].champion
    async with running_loop(temporal_env, world, task_queue, POLICY) as loop:
        await loop.alarm(an_alarm(kind="calibration"))
        state = (await loop.closed()).state
    assert (state.history[0].outcome, state.cool_until) == (Outcome.ROLLED_BACK, None)
    assert world.manifests[-1].champion == before


async def test_a_cancel_that_a_landing_recalibration_hides_still_counts(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = benched(champion=0.9, bias=0.8, failures={"manifest": [Unavailable("busy")]})
    async with running_loop(temporal_env, world, task_queue, shadow_policy(rollout={"bake": "1h"})) as loop:
        await loop.alarm(an_alarm(kind="calibration"))
        handle = await loop.in_stage(Stage.RECALIBRATE)
        while world.endpoint not in world.serving:  # noqa: ASYNC110 - the fake world has no event for it
            await asyncio.sleep(0.01)
        await handle.cancel()
        state = (await loop.closed()).state
    assert state.history[0].outcome is Outcome.CANCELLED
    assert world.serving[world.endpoint].model == world.manifests[-1].champion
    assert world.resources == {}


async def test_a_cancel_while_the_refit_trains_stops_it(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = benched(training_holds=False)
    world.training_holds = True
    async with running_loop(temporal_env, world, task_queue, POLICY) as loop:
        await loop.alarm(an_alarm(kind="improvement"))
        handle = await loop.in_stage(Stage.TRAIN)

        async def running() -> bool:
            return len(world.jobs) == 1

        await until(running, "the refit's job")
        await handle.cancel()
        state = (await loop.closed()).state
    assert state.history[0].outcome is Outcome.CANCELLED
    assert world.stopped == set(world.jobs)
    assert world.resources == {}


async def test_a_drift_alarm_with_no_better_blend_and_a_right_champion_asks_a_person(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = benched(champion=0.9)
    async with running_loop(temporal_env, world, task_queue, POLICY) as loop:
        await loop.alarm(an_alarm(kind="data_drift"))
        handle = await loop.in_stage(Stage.REVIEW)
        status = await loop.incident_status(handle)
        await handle.execute_update("decide", {"approve": True, "reviewer": "ada", "note": "new", "evidence": status.evidence})
        state = (await loop.closed()).state
    assert state.history[0].outcome is Outcome.PROMOTED
    assert world.records[-1].entry.facts["judgement"]["verdict"] == "inconclusive"
    assert [job.purpose for job in world.jobs.values()] == [Purpose.REFIT]


async def test_a_promotion_beyond_the_budget_that_nobody_answers_recalibrates_the_champion_meanwhile(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = benched(bias=-0.8)
    policy = shadow_policy(intake={"promotions_start": 0})
    async with running_loop(temporal_env, world, task_queue, policy) as loop:
        await loop.alarm(an_alarm(kind="improvement"))
        handle = await loop.in_stage(Stage.REVIEW)
        await temporal_env.fast_forward(handle, timedelta(hours=9))
        await temporal_env.fast_forward(handle, timedelta(hours=16))
        state = (await loop.closed()).state
    assert (state.history[0].outcome, state.history[0].reviewed) == (Outcome.RECALIBRATED, Resolution.EXPIRED)
    assert world.manifests[-1].recalibration


@pytest.mark.parametrize("kind", ["improvement", "calibration"])
async def test_nobody_is_asked_about_an_alarm_of_the_bench_that_came_to_nothing(
    temporal_env: WorkflowEnvironment, task_queue: str, kind: str
) -> None:
    world = benched(champion=0.9)
    async with running_loop(temporal_env, world, task_queue, POLICY) as loop:
        await loop.alarm(an_alarm(kind=kind))
        state = (await loop.closed()).state
    assert state.history[0].outcome is Outcome.HELD
    assert "looks again at its next turn" in state.history[0].sentence
    assert world.jobs == {}
    assert [notice.kind for notice in world.notices] == [NoticeKind.OUTCOME]


async def test_a_refit_that_decides_otherwise_than_what_was_judged_does_not_ship(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = benched(refit_quality=-0.9)
    async with running_loop(temporal_env, world, task_queue, POLICY) as loop:
        await loop.alarm(an_alarm(kind="improvement"))
        state = (await loop.closed()).state
    assert state.history[0].outcome is Outcome.HELD
    judgement = world.records[-1].entry.facts["judgement"]
    assert (judgement["verdict"], judgement["refit"]["agrees"]) == ("inconclusive", False)


async def test_without_a_record_the_incident_is_judged_as_on_alarm_and_says_so(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World()
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue, POLICY) as loop:
        await loop.alarm()
        state = (await loop.closed()).state
    assert state.history[0].outcome is Outcome.PROMOTED
    assert {job.purpose for job in world.jobs.values()} == set(Purpose)
    assert any("so it is judged as on_alarm" in note for note in world.records[-1].entry.facts["notes"])


async def test_in_shadow_mode_a_recalibration_would_have_been_done(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = benched(champion=0.9, bias=0.8)
    async with running_loop(temporal_env, world, task_queue, shadow_policy(mode="shadow")) as loop:
        await loop.alarm(an_alarm(kind="calibration"))
        state = (await loop.closed()).state
    assert state.history[0].outcome is Outcome.SHADOWED
    assert "would have recalibrated the champion" in state.history[0].sentence
    assert (world.deployed, len(world.manifests)) == ([], 1)


async def rolled_back(loop: Loop) -> RollbackReport:
    why = {"by": "ada", "reason": "complaints from support"}
    accepted: Accepted = await loop.lifecycle.execute_update("rollback", why, result_type=Accepted)
    handle = loop.client.get_workflow_handle(accepted.workflow_id, result_type=RollbackReport)
    report: RollbackReport = await handle.result()
    return report
