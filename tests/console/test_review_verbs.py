"""`approve` and `reject`: bound to the evidence, decided once, refused with a type."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from contracts.evaluation import Verdict
from contracts.incident import Outcome, Stage
from contracts.review import Resolution
from tests.console.conftest import Run
from tests.fakes import World, digest
from tests.stories import Loop, a_policy, running_loop

ASKING = a_policy(review={"ask_on": [verdict.value for verdict in Verdict], "reviewers": ["ada", "grace"]})


@pytest_asyncio.fixture(loop_scope="session")
async def loop(temporal_env: WorkflowEnvironment, task_queue: str) -> AsyncIterator[Loop]:
    world = World()
    world.champion()
    async with running_loop(temporal_env, world, task_queue, ASKING) as running:
        yield running


async def in_review(loop: Loop) -> tuple[str, WorkflowHandle[Any, Any]]:
    await loop.alarm()
    handle = await loop.in_stage(Stage.REVIEW)
    return f"{loop.world.endpoint}/{handle.id.rsplit('/', 1)[1]}", handle


async def test_a_rejection_keeps_the_champion_and_names_the_evidence(run: Run, loop: Loop) -> None:
    incident, handle = await in_review(loop)
    evidence = (await loop.incident_status(handle)).evidence
    ran = await run("reject", incident, "--note", "recall falls on weekends", "--reviewer", "ada", "--json")
    history = (await loop.closed()).state.history
    assert ran.exit == 0, ran.err
    assert ran.data["evidence"] == evidence
    assert ran.data["outcome"]["resolution"] == "rejected"
    assert ran.data["outcome"]["decision"]["note"] == "recall falls on weekends"
    assert history[-1].outcome is Outcome.HELD
    assert history[-1].reviewed is Resolution.REJECTED


async def test_an_approval_shows_what_was_approved_and_promotes(run: Run, loop: Loop) -> None:
    incident, handle = await in_review(loop)
    status = await loop.incident_status(handle)
    ran = await run("approve", incident, "--reviewer", "grace", "--note", "looks fine")
    history = (await loop.closed()).state.history
    assert ran.exit == 0, ran.err
    assert status.judgement is not None
    assert status.judgement.sentence in ran.out
    assert f"evidence  {status.evidence}" in ran.out
    assert "approved by grace" in ran.out
    assert history[-1].outcome is Outcome.PROMOTED


async def test_a_decision_that_may_not_count_is_refused_with_its_type(run: Run, loop: Loop) -> None:
    incident, _ = await in_review(loop)
    stranger = await run("approve", incident, "--reviewer", "mallory", "--json")
    stale = await run("approve", incident, "--reviewer", "ada", "--evidence", digest("older"), "--json")
    wrong = await run("approve", incident, "--reviewer", "ada", "--evidence", "abc", "--json")
    await run("reject", incident, "--reviewer", "ada", "--note", "no")
    await loop.closed()
    late = await run("approve", incident, "--reviewer", "grace", "--json")
    assert [ran.exit for ran in (stranger, stale, wrong, late)] == [1, 1, 2, 1]
    assert stranger.data["error"]["type"] == "NotAnApprover"
    assert "ada, grace" in stranger.data["error"]["message"]
    assert stale.data["error"]["type"] == "EvidenceChanged"
    assert "--evidence" in wrong.data["error"]["message"]
    assert late.data["error"]["type"] == "AlreadyDecided"
    assert late.data["error"]["remedy"]


async def test_an_incident_that_is_not_there_is_named_with_the_one_that_is(run: Run, loop: Loop) -> None:
    incident, _ = await in_review(loop)
    name = loop.world.endpoint
    ran = await run("approve", f"{name}/20240601T000000Z-ffffff", "--json")
    nobody = await run("approve", "nobody/20240601T000000Z-ffffff", "--json")
    await run("reject", incident, "--reviewer", "ada", "--note", "no")
    await loop.closed()
    assert (ran.exit, nobody.exit) == (4, 4)
    assert f"The open one is {incident}" in ran.data["error"]["message"]
    assert "'nobody'" in nobody.data["error"]["message"]


async def test_nothing_can_be_decided_before_there_is_evidence(
    run: Run, temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World(training_holds=True)
    world.champion()
    async with running_loop(temporal_env, world, task_queue, ASKING) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.TRAIN)
        ran = await run("approve", f"{world.endpoint}/{handle.id.rsplit('/', 1)[1]}", "--reviewer", "ada", "--json")
        await handle.cancel()
        await loop.closed()
    assert ran.exit == 1
    assert ran.data["error"]["type"] == "NotWaiting"
    assert "train" in ran.data["error"]["message"]


async def test_what_is_no_incident_is_refused_before_anything_is_asked(run: Run) -> None:
    shapes = ("bikes", "bikes/", "/x", "bikes/../../x", "bi kes/x", "bikes/\x1b[2J")
    ends = [await run("approve", shape, "--json") for shape in shapes]
    assert [ran.exit for ran in ends] == [2] * len(shapes)
    assert all("NAME/ID" in ran.data["error"]["message"] or "ENDPOINT" in ran.data["error"]["message"] for ran in ends)


async def test_a_rejection_needs_a_note(run: Run) -> None:
    ran = await run("reject", "bikes/20240601T000000Z-ffffff")
    assert ran.exit == 2
    assert "--note" in ran.err
