"""The page's way to the loop, on the real server: what it lists, what it asks, and how a refusal comes back."""

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.incident import PauseRequest, ResumeRequest, RollbackRequest, Stage
from contracts.review import Decision, Resolution
from review.book import Book
from review.loop import Gone, Loop, Refused, Silent
from review.refresh import Refresher
from tests.fakes import World, digest, fake_platform
from tests.stories import Loop as Running
from tests.stories import a_policy, running_loop, start_lifecycle, until


def asking() -> World:
    """A challenger that is worse, so that a person is asked."""
    world = World(challenger_quality=0.1)
    world.champion(quality=0.6)
    return world


async def in_review(loop: Running) -> str:
    await loop.alarm()
    handle = await loop.in_stage(Stage.REVIEW)
    return handle.id.rpartition("/")[2]


async def refused(page: Loop, endpoint: str, incident: str, decision: Decision) -> str:
    with pytest.raises(Refused) as error:
        await page.decide(endpoint, incident, decision)
    return error.value.kind


async def test_a_review_is_listed_read_decided_once_and_refused_after(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    policy = a_policy(review={"unverified": "accept", "people": {"anna": {}, "bert": {}}, "reviewers": ["anna"]})
    async with running_loop(temporal_env, asking(), task_queue, policy) as loop:
        page, endpoint = Loop(temporal_env.client), loop.world.endpoint
        incident = await in_review(loop)

        async def listed() -> bool:
            seen = [one async for one in page.running() if one.endpoint == endpoint]
            return {(one.is_incident, one.waiting_on) for one in seen} >= {(True, "person"), (False, "incident")}

        await until(listed, "both workflows in the list")
        request, status = await page.request(endpoint, incident), await page.remediation(endpoint, incident)
        assert request.alarms[0].id == "alarm-1"
        assert status.review_deadline is not None
        right = Decision(approve=False, reviewer="anna", note="no", evidence=status.evidence)
        other = right.model_copy(update={"evidence": digest("other")})
        assert await refused(page, endpoint, incident, other) == "EvidenceChanged"
        assert await refused(page, endpoint, incident, right.model_copy(update={"reviewer": "bert"})) == "NotAnApprover"
        assert (await page.decide(endpoint, incident, right)).resolution is Resolution.REJECTED
        await loop.closed()
        with pytest.raises((Gone, Refused)):
            await page.decide(endpoint, incident, right)
        assert (await page.remediation(endpoint, incident)).stage is Stage.CLOSED


async def test_the_book_is_filled_from_the_real_server(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = asking()
    platform = fake_platform(world)
    async with running_loop(temporal_env, world, task_queue, a_policy(review={"unverified": "accept"}), platform) as loop:
        incident = await in_review(loop)
        refresher = Refresher(Book(), Loop(temporal_env.client), platform)

        async def waits() -> bool:
            await refresher.round()
            return any(row.name == f"{world.endpoint}/{incident}" and row.deadline for row in refresher.book.waiting())

        await until(waits, "the review in the inbox")
        row = refresher.book.endpoints[world.endpoint]
        assert (row.stage, row.team, row.champion) == ("incident", "mobility", digest("champion"))


async def test_an_operator_is_heard_and_one_who_is_not_there_is_said(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    async with running_loop(temporal_env, asking(), task_queue) as loop:
        page, endpoint = Loop(temporal_env.client), loop.world.endpoint
        await page.hold(endpoint, PauseRequest(by="anna", reason="holiday"))
        assert (await page.lifecycle(endpoint)).state.paused is not None
        await page.hold(endpoint, ResumeRequest(by="anna"))
        assert (await page.lifecycle(endpoint)).state.paused is None
        assert (await page.roll_back(endpoint, RollbackRequest(by="anna", reason="worse"))).workflow_id
    for ask in (page.lifecycle("nobody"), page.remediation("nobody", "x"), page.request("nobody", "x")):
        with pytest.raises(Gone):
            await ask


async def test_without_a_worker_nobody_answers(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    endpoint = World().endpoint
    handle = await start_lifecycle(temporal_env.client, task_queue, endpoint)
    with pytest.raises(Silent):
        await Loop(temporal_env.client).lifecycle(endpoint)
    await handle.terminate("the story is told")
