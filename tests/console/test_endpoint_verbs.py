"""`rollback`, `pause`, `resume`."""

from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from platforms.errors import Corrupt
from tests.console.conftest import Run
from tests.fakes import World
from tests.stories import Loop, an_alarm, running_loop, start_lifecycle


@pytest_asyncio.fixture(loop_scope="session")
async def loop(temporal_env: WorkflowEnvironment, task_queue: str) -> AsyncIterator[Loop]:
    world = World()
    world.champion("former")
    world.champion("present")
    async with running_loop(temporal_env, world, task_queue) as running:
        yield running


async def test_rollback_waits_until_the_former_champion_serves(run: Run, loop: Loop) -> None:
    former = loop.world.manifests[0].champion.digest
    ran = await run("rollback", loop.world.endpoint, "--reason", "complaints", "--by", "ada", "--json")
    assert ran.exit == 0, ran.err
    assert ran.data["done"] is True
    assert ran.data["champion"] == former
    assert loop.world.manifests[-1].champion.digest == former
    record = loop.world.records[-1].entry
    assert record.event.value == "rolled_back"
    assert (record.facts["by"], record.facts["reason"]) == ("ada", "complaints")


async def test_a_rollback_that_fails_ends_with_one_and_says_why(run: Run, loop: Loop) -> None:
    loop.world.failures["deploy"] = [Corrupt("model file of the former champion has a wrong digest")] * 20
    ran = await run("rollback", loop.world.endpoint, "--reason", "complaints", "--json")
    assert ran.exit == 1
    assert ran.data["done"] is False
    assert "wrong digest" in ran.data["sentence"]


async def test_rollback_needs_a_reason(run: Run, loop: Loop) -> None:
    missing = await run("rollback", loop.world.endpoint)
    empty = await run("rollback", loop.world.endpoint, "--reason", "")
    assert (missing.exit, empty.exit) == (2, 2)
    assert "--reason" in missing.err
    assert "--reason" in empty.err
    assert len(loop.world.manifests) == 2


async def test_a_paused_endpoint_keeps_its_alarms_until_it_is_resumed(run: Run, loop: Loop) -> None:
    name = loop.world.endpoint
    paused = await run("pause", name, "--reason", "stock-taking", "--by", "ada", "--json")
    await loop.alarm(an_alarm())
    waiting = (await loop.status()).state
    shown = await run("status", name)
    resumed = await run("resume", name, "--json")
    await (await loop.remediation()).cancel()
    await loop.closed()
    assert paused.data == {"endpoint": name, "paused": True, "by": "ada", "reason": "stock-taking", "confirmed": True}
    assert waiting.paused is not None
    assert [a.id for a in waiting.pending] == ["alarm-1"]
    assert "by ada since" in shown.out
    assert "pending alarms (1)" in shown.out
    assert resumed.data["confirmed"] is True
    assert (resumed.exit, paused.exit) == (0, 0)


async def test_a_pause_without_a_worker_is_kept_and_says_that_nobody_confirmed(
    run: Run, temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    name = World().endpoint
    handle = await start_lifecycle(temporal_env.client, task_queue, name)
    ran = await run("pause", name, "--timeout", "1", "--json")
    await handle.terminate("the test is over")
    assert ran.exit == 0
    assert ran.data["confirmed"] is False


async def test_an_unconfigured_endpoint_refuses_a_rollback(run: Run, temporal_env: WorkflowEnvironment, loop: Loop) -> None:
    name = World().endpoint
    handle = await start_lifecycle(temporal_env.client, loop.queue, name)
    ran = await run("rollback", name, "--reason", "x", "--json")
    await handle.terminate("the test is over")
    assert ran.exit == 1
    assert ran.data["error"]["type"] == "Unconfigured"


async def test_an_unknown_endpoint_is_not_found_by_any_of_them(run: Run, loop: Loop) -> None:
    name = f"{loop.world.endpoint}x"
    for words in (("rollback", name, "--reason", "x"), ("pause", name), ("resume", name), ("status", name)):
        ran = await run(*words, "--json")
        assert ran.exit == 4, words
        assert f"Running endpoints: {loop.world.endpoint}" in ran.data["error"]["message"]
