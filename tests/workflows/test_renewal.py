"""Continue-as-new in the middle of everything: alarms, decisions and open incidents survive it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from contracts.incident import Accepted, LifecycleState, Outcome, Stage
from tests.fakes import AS_OF, World
from tests.servers import hasty_server
from tests.stories import Loop, a_policy, an_alarm, running_loop, until


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hasty_env() -> AsyncIterator[WorkflowEnvironment]:
    """A server that suggests to continue as new after 25 events."""
    async with hasty_server() as env:
        yield env


async def _runs(loop: Loop) -> int:
    query = f'WorkflowId = "{loop.lifecycle.id}"'
    return len([run async for run in loop.client.list_workflows(query)])


async def _renewed(loop: Loop, runs: int) -> None:
    async def enough() -> bool:
        return await _runs(loop) >= runs

    await until(enough, f"{runs} runs of the lifecycle")


async def test_a_flood_across_renewals_loses_and_doubles_nothing(hasty_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(training_holds=True)
    world.champion(quality=0.6)
    async with running_loop(hasty_env, world, task_queue) as loop:
        for n in range(120):
            await loop.alarm(an_alarm(n), an_alarm(n))
        await _renewed(loop, 2)

        async def counted() -> bool:
            counts = (await loop.status()).state.counts
            return (counts["opened"] + counts.get("joined", 0), counts.get("duplicate")) == (120, 120)

        await until(counted, "240 fates")
        world.training_holds = False
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.PROMOTED
    assert len(status.state.history) == 1


async def test_an_incident_opened_by_an_earlier_run_is_followed_decided_and_settled(
    hasty_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World(challenger_quality=0.3)
    world.champion(quality=0.9)
    async with running_loop(hasty_env, world, task_queue, a_policy(review={"timeout": "24h"})) as loop:
        await loop.alarm()
        await loop.in_stage(Stage.REVIEW)
        for n in range(2, 40):
            await loop.alarm(an_alarm(n, AS_OF + timedelta(minutes=n)))
        await _renewed(loop, 2)
        await loop.lifecycle.signal("reject", {"reviewer": "ada", "note": "after the renewal"})
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.HELD
    assert status.state.counts["opened"] == 1


async def test_an_incident_terminated_after_a_renewal_is_settled_as_failed(
    hasty_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World(training_holds=True)
    world.champion(quality=0.6)
    async with running_loop(hasty_env, world, task_queue) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.TRAIN)
        for n in range(2, 40):
            await loop.alarm(an_alarm(n, AS_OF + timedelta(minutes=n)))
        await _renewed(loop, 2)
        await handle.terminate("by hand")
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.FAILED
    assert "sweep" in status.state.history[0].sentence


def test_an_older_worker_reads_what_a_newer_one_has_configured() -> None:
    """State goes from run to run and policy from parent to child: a field of a newer release must not stop them."""
    state = LifecycleState(endpoint="bikes", policy=a_policy()).model_dump(mode="json")
    for room in (state, state["policy"], state["policy"]["gate"], state["policy"]["training"]["recipe"]["learner"]):
        room["of_a_newer_release"] = 1
    assert LifecycleState.model_validate(state).policy == a_policy()


async def test_rollbacks_and_decisions_asked_for_around_a_renewal_are_all_answered(
    hasty_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World()
    world.champion()
    async with running_loop(hasty_env, world, task_queue) as loop, asyncio.timeout(60):
        await loop.lifecycle.signal("pause", {"by": "ada"})
        for n in range(12):
            rollback = loop.lifecycle.execute_update("rollback", {"by": "ada", "reason": f"number {n}"}, result_type=Accepted)
            decisions = [loop.lifecycle.signal("approve", {"reviewer": f"r{n}-{k}"}) for k in range(3)]
            accepted, *_ = await asyncio.gather(rollback, *decisions, return_exceptions=True)
            assert isinstance(accepted, Accepted | WorkflowUpdateFailedError), accepted
        await _renewed(loop, 3)

        async def all_refused() -> bool:
            return (await loop.status()).state.refusals == 36

        await until(all_refused, "36 refusals, as no incident is open")
