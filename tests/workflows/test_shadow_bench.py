"""The shadow bench's turns on the real server: evidence accrues, an alarm is raised once, nothing temporary stays."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from contracts.alarm import AlarmKind
from contracts.fleet import EndpointPolicy
from contracts.ids import bench_id
from contracts.shadow import BenchReport, BenchRequest, BenchStatus
from platforms.errors import Corrupt, Invalid, NotFound, TrainingFailed, Unavailable
from tests.fakes import AS_OF, World, fake_platform
from tests.stories import a_policy, until, workers
from workflows.shadow_bench import ShadowBench

WEEK = timedelta(days=7)
POLICY = a_policy(training={"judging": "shadow", "bench": {"warm_up": 2}}, gate={"resamples": 200}, data={"label_delay": "1h"})


def a_world(**changes: Any) -> World:
    """Labels have arrived up to a few days ago; a champion that guesses worse than what is trained now."""
    world = World(label_lead=timedelta(0), **changes)
    world.champion(quality=0.6)
    return world


async def start(
    env: WorkflowEnvironment, world: World, queue: str, policy: EndpointPolicy = POLICY, n: int = 1
) -> WorkflowHandle[Any, BenchReport]:
    return await env.client.start_workflow(
        ShadowBench.run,
        BenchRequest(endpoint=world.endpoint, policy=policy),
        id=f"{bench_id(world.endpoint)}-{n}",
        task_queue=queue,
    )


async def turned(env: WorkflowEnvironment, world: World, queue: str, n: int = 1) -> BenchReport:
    return await (await start(env, world, queue, n=n)).result()


@asynccontextmanager
async def working(env: WorkflowEnvironment, world: World, queue: str) -> AsyncIterator[None]:
    async with workers(env.client, fake_platform(world), queue):
        yield


async def test_the_first_run_warms_up_and_raises_an_improvement_alarm(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = a_world()
    async with working(temporal_env, world, task_queue):
        report = await turned(temporal_env, world, task_queue)
    assert [turn.verdict for turn in report.turns] == ["", "", "promote"]
    assert [alarm.kind for alarm in world.raised] == [AlarmKind.IMPROVEMENT]
    alarm = world.raised[0]
    assert alarm.as_of == report.turns[-1].as_of <= AS_OF
    assert report.raised == (alarm.id,)
    assert world.bench[-1].turns[-1].raised
    assert world.resources == {}
    assert len(world.jobs) == 3
    assert sum(part.rows for part in world.bench[-1].parts) == 14 * 24


async def test_a_run_with_nothing_due_does_nothing(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = a_world()
    async with working(temporal_env, world, task_queue):
        await turned(temporal_env, world, task_queue)
        before = len(world.bench)
        report = await turned(temporal_env, world, task_queue, n=2)
    assert report.sentence.startswith("No turn is due. The last turn was")
    assert (len(world.bench), len(world.raised), len(world.jobs)) == (before, 1, 3)


async def test_the_next_period_is_scored_by_the_last_fit_and_alarms_anew(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = a_world()
    async with working(temporal_env, world, task_queue):
        first = await turned(temporal_env, world, task_queue)
        world.label_lead += WEEK
        second = await turned(temporal_env, world, task_queue, n=2)
    assert len(second.turns) == 1
    part = world.bench[-1].parts[-1]
    assert part.fitted_as_of == first.turns[-1].as_of
    assert part.rows == second.turns[0].rows == 7 * 24
    assert len({alarm.id for alarm in world.raised}) == 2


async def test_missed_turns_are_made_up_in_order_and_only_the_newest_calls_for_an_alarm(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = a_world()
    async with working(temporal_env, world, task_queue):
        await turned(temporal_env, world, task_queue)
        world.label_lead += 3 * WEEK
        report = await turned(temporal_env, world, task_queue, n=2)
    moments = [turn.as_of for turn in report.turns]
    assert moments == [moments[0] + n * WEEK for n in range(3)]
    assert [turn.verdict for turn in report.turns] == ["promote"] * 3
    assert [alarm.as_of for alarm in world.raised[1:]] == [moments[-1]]


async def test_a_champion_as_good_as_the_bench_raises_nothing(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = a_world(challenger_quality=0.6)
    async with working(temporal_env, world, task_queue):
        report = await turned(temporal_env, world, task_queue)
    assert report.turns[-1].verdict in ("regress", "inconclusive")
    assert world.raised == []


async def test_without_a_champion_the_record_is_kept_and_nobody_is_alarmed(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World(label_lead=timedelta(0))
    async with working(temporal_env, world, task_queue):
        report = await turned(temporal_env, world, task_queue)
    assert "No champion is in service yet" in report.sentence
    assert world.raised == []
    assert len(world.bench[-1].fits) == 3


async def test_a_missing_table_is_an_end_in_words(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = a_world(failures={"watermark": [NotFound("no table 'bikes' in the feature store")]})
    async with working(temporal_env, world, task_queue):
        report = await turned(temporal_env, world, task_queue)
    assert "no table 'bikes'" in report.sentence
    assert world.bench == []


async def test_what_cannot_be_trained_leaves_a_gap_and_not_a_failed_run(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = a_world(failures={"train": [TrainingFailed("nothing to train on: no positives")]})
    async with working(temporal_env, world, task_queue):
        report = await turned(temporal_env, world, task_queue)
    assert "no positives" in report.turns[0].sentence
    assert [fit.challenger is None for fit in world.bench[-1].fits] == [True, False, False]


async def test_a_step_that_cannot_be_mended_fails_the_run_and_the_next_one_takes_the_same_turn(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = a_world(failures={"bench:write": [None, Corrupt("not what was written")]})
    async with working(temporal_env, world, task_queue):
        with pytest.raises(WorkflowFailureError) as failed:
            await turned(temporal_env, world, task_queue)
        assert "not what was written" in str(failed.value.cause)
        assert world.resources == {}
        report = await turned(temporal_env, world, task_queue, n=2)
    assert report.turns[-1].verdict == "promote"
    assert sum(part.rows for part in world.bench[-1].parts) == 14 * 24
    assert len(world.raised) == 1


async def test_an_alarm_that_the_bridge_did_not_take_is_sent_by_the_next_run(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    """One that stays down for the ten minutes of `options.ALARM` fails the step in the same way, too late for a test."""
    world = a_world(failures={"alarm": [Unavailable("restarting"), Invalid("the alarm's endpoint is unknown")]})
    async with working(temporal_env, world, task_queue):
        report = await turned(temporal_env, world, task_queue)
        assert report.raised == ()
        assert "did not take the alarm" in report.sentence
        world.failures.clear()
        again = await turned(temporal_env, world, task_queue, n=2)
    assert again.raised == (report.turns[-1].alarm.id,)
    assert world.bench[-1].turns[-1].raised


async def test_a_cancel_in_mid_training_stops_the_job_and_leaves_nothing(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = a_world(training_holds=True)
    async with working(temporal_env, world, task_queue):
        handle = await start(temporal_env, world, task_queue)

        async def trains() -> bool:
            return len(world.jobs) == 1

        await until(trains, "a job")
        status: BenchStatus = await handle.query(ShadowBench.status)
        assert status.stage == "turn"
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert world.stopped == set(world.jobs)
    assert world.resources == {}
    assert world.bench == []
