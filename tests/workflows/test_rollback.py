"""An operator's rollback: the former champion serves again, at once, whatever else is going on."""

from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from contracts.incident import Accepted, Outcome, RollbackReport, Stage
from contracts.training import ModelStatus
from tests.fakes import World
from tests.stories import Loop, running_loop, start_lifecycle, until, workers

WHY = {"by": "ada", "reason": "complaints from support"}


async def _roll_back(loop: Loop) -> RollbackReport:
    accepted: Accepted = await loop.lifecycle.execute_update("rollback", WHY, result_type=Accepted)
    handle = loop.client.get_workflow_handle(accepted.workflow_id, result_type=RollbackReport)
    report: RollbackReport = await handle.result()
    return report


async def _idle(loop: Loop) -> None:
    """The end of a child reaches its lifecycle a moment after whoever waits for the child."""

    async def free() -> bool:
        return (await loop.status()).stage == "idle"

    await until(free, "an idle lifecycle")


async def test_rolling_back_a_promotion_restores_the_former_champion(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    first = world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        await loop.closed()
        promoted = world.manifests[-1].champion
        report = await _roll_back(loop)
    assert report.done
    assert report.champion == first.digest
    assert world.serving[world.endpoint].model == first
    assert world.manifests[-1].champion == first
    assert world.manifests[-1].lineage == ()
    assert world.cards[promoted.digest].status is ModelStatus.ROLLED_BACK
    assert world.cards[first.digest].status is ModelStatus.CHAMPION
    facts = world.records[-1].entry.facts
    assert (facts["by"], facts["identity"], facts["reason"]) == ("ada", "unverified", "complaints from support")


async def test_with_nothing_to_go_back_to_the_rollback_says_so_and_people_are_paged(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World()
    world.champion()
    async with running_loop(temporal_env, world, task_queue) as loop:
        report = await _roll_back(loop)
        await _idle(loop)
    assert not report.done
    assert "has no former champion" in report.sentence
    assert world.notices[-1].kind.value == "page"


async def test_a_rollback_cancels_the_open_incident_first(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(training_holds=True)
    first = world.champion("first", quality=0.6)
    world.champion("second", quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        await loop.in_stage(Stage.TRAIN)
        report = await _roll_back(loop)
        status = await loop.status()
    assert report.done, report.sentence
    assert world.serving[world.endpoint].model == first
    assert [i.outcome for i in status.state.history] == [Outcome.CANCELLED]
    assert world.resources == {}


async def test_a_rollback_needs_a_reason_and_a_configured_endpoint(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    from tests.fakes import fake_platform

    world = World()

    async def refusal(handle: Any, request: Any) -> str:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("rollback", request)
        assert isinstance(refused.value.cause, ApplicationError)
        return str(refused.value.cause.type)

    async with workers(temporal_env.client, fake_platform(world), task_queue):
        lifecycle = await start_lifecycle(temporal_env.client, task_queue, world.endpoint)
        assert await refusal(lifecycle, {"by": "ada", "reason": ""}) == "Malformed"
        assert await refusal(lifecycle, WHY) == "Unconfigured"
        await lifecycle.terminate()


async def test_the_first_champion_is_held_against_the_base_rate(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.lifecycle.signal(
            "alarm",
            {"id": "first", "endpoint": world.endpoint, "kind": "onboarding", "as_of": "2024-06-01T00:00:00Z"},
        )
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.PROMOTED
    assert world.manifests[-1].revision == 1
    assert world.records[-1].entry.facts["judgement"]["comparisons"][0]["champion"] > 0


async def test_a_useless_first_model_is_not_promoted_by_itself(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(challenger_quality=0.0)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        await handle.signal("reject", {"reviewer": "ada", "note": "no better than guessing"})
        status = await loop.closed()
        await _idle(loop)
    assert status.state.history[0].outcome is Outcome.HELD
    assert world.manifests == []
