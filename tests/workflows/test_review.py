"""People: asked where judgement is needed, refused where they can't decide, and never waited for longer than declared."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from contracts.incident import Outcome, Stage
from contracts.notices import NoticeKind
from contracts.review import Resolution
from platforms.errors import Unavailable
from tests.fakes import World
from tests.stories import Loop, a_policy, running_loop, until

REVIEWED = a_policy(review={"reviewers": ["ada", "grace"], "timeout": "24h", "remind_after": "8h"})


async def _decide(handle: WorkflowHandle[Any, Any], **decision: Any) -> Any:
    return await handle.execute_update("decide", decision)


async def _refusal(handle: WorkflowHandle[Any, Any], **decision: Any) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await _decide(handle, **decision)
    assert isinstance(refused.value.cause, ApplicationError)
    return str(refused.value.cause.type)


async def _evidence(loop: Loop, handle: WorkflowHandle[Any, Any]) -> str:
    digest = (await loop.incident_status(handle)).evidence
    assert digest is not None
    return digest


async def test_a_regression_goes_to_a_person_who_rejects_it(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(challenger_quality=0.3)
    champion = world.champion(quality=0.9)
    async with running_loop(temporal_env, world, task_queue, REVIEWED) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        digest = await _evidence(loop, handle)
        await _decide(handle, approve=False, reviewer="ada", note="worse on every metric", evidence=digest)
        status = await loop.closed()
    incident = status.state.history[0]
    assert incident.outcome is Outcome.HELD
    assert "ada (unverified): worse on every metric" in incident.sentence
    assert world.manifests[-1].champion == champion
    assert world.events() == ["closed"]
    facts = world.records[0].entry.facts
    assert facts["judgement"]["verdict"] == "regress"
    assert facts["review"]["decision"] == {
        "approve": False,
        "reviewer": "ada",
        "note": "worse on every metric",
        "evidence": digest,
        "only_if": [],
    }
    assert facts["review"]["identity"] == "unverified"


async def test_an_approved_challenger_is_promoted(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(challenger_quality=0.9)
    world.champion(quality=0.9)
    async with running_loop(temporal_env, world, task_queue, REVIEWED) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        await _decide(handle, approve=True, reviewer="grace", note="fresh data", evidence=await _evidence(loop, handle))
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.PROMOTED
    assert status.state.history[0].reviewed is Resolution.APPROVED
    assert not status.state.history[0].automatic
    assert len(world.manifests) == 2


async def test_an_expired_review_keeps_the_champion(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(challenger_quality=0.3)
    champion = world.champion(quality=0.9)
    async with running_loop(temporal_env, world, task_queue, REVIEWED) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        await temporal_env.fast_forward(handle, timedelta(hours=9))

        async def reminded() -> bool:
            return [n.kind for n in world.notices][-1:] == [NoticeKind.REMINDER]

        await until(reminded, "the reminder")
        await temporal_env.fast_forward(handle, timedelta(hours=16))
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.EXPIRED
    assert world.manifests[-1].champion == champion
    assert [n.kind for n in world.notices] == [NoticeKind.REVIEW, NoticeKind.REMINDER, NoticeKind.OUTCOME]


async def test_a_timeout_never_promotes_what_the_gate_calls_worse(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(challenger_quality=0.3)
    champion = world.champion(quality=0.9)
    eager = a_policy(review={"default": "promote", "timeout": "1s", "remind_after": "1s"})
    async with running_loop(temporal_env, world, task_queue, eager) as loop:
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.EXPIRED
    assert world.manifests[-1].champion == champion


async def test_decisions_that_do_not_count_are_refused_with_their_reason(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World(challenger_quality=0.3)
    world.champion(quality=0.9)
    async with running_loop(temporal_env, world, task_queue, REVIEWED) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        digest = await _evidence(loop, handle)
        assert await _refusal(handle, approve=True, reviewer="mallory", evidence=digest) == "NotAnApprover"
        assert await _refusal(handle, approve=True, reviewer="ada", evidence="f" * 64) == "EvidenceChanged"
        assert await _refusal(handle, approve=True, reviewer="ada") == "Malformed"
        assert await _refusal(handle, aprove=True, reviewer="ada", evidence=digest) == "Malformed"
        assert await _refusal(handle) == "Malformed"
        await handle.signal("approve", {"reviewer": "mallory"})
        await handle.signal("reject", {"reviewer": "ada", "note": "no"})
        await loop.closed()
        refused = world.records[-1].entry.facts["refused"]
    assert [r["reviewer"] for r in refused] == ["mallory"]
    assert "not among the reviewers" in refused[0]["reason"]


async def test_a_plain_signal_to_the_lifecycle_decides_too(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(challenger_quality=0.3)
    world.champion(quality=0.9)
    async with running_loop(temporal_env, world, task_queue, REVIEWED) as loop:
        await loop.alarm()
        await loop.in_stage(Stage.REVIEW)
        await loop.lifecycle.signal("reject", {"reviewer": "grace", "note": "seen in the UI"})
        status = await loop.closed()
        await loop.lifecycle.signal("approve", {"reviewer": "grace", "note": "too late"})

        async def noted() -> bool:
            return bool((await loop.status()).state.refused)

        await until(noted, "the refused decision")
        late = (await loop.status()).state.refused[0]
    assert status.state.history[0].outcome is Outcome.HELD
    assert "no incident is open" in late.reason


async def test_a_channel_that_is_down_delays_nothing(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(challenger_quality=0.3, failures={"notify": [Unavailable("mail server is down")] * 3})
    world.champion(quality=0.9)
    async with running_loop(temporal_env, world, task_queue, REVIEWED) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        await _decide(handle, approve=False, reviewer="ada", note="no", evidence=await _evidence(loop, handle))
        await loop.closed()
    assert world.calls.index("audit:closed") < len(world.calls)
    assert NoticeKind.OUTCOME in [n.kind for n in world.notices]


async def test_the_notice_says_everything_a_reviewer_needs(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(challenger_quality=0.3)
    world.champion(quality=0.9)
    async with running_loop(temporal_env, world, task_queue, REVIEWED) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        digest = await _evidence(loop, handle)

        async def told() -> bool:
            return bool(world.notices)

        await until(told, "the notice")
        await handle.signal("reject", {"reviewer": "ada", "note": "no"})
        await loop.closed()
    notice = world.notices[0]
    incident = handle.id.rsplit("/", 1)[1]
    assert notice.commands["approve"] == f'python starter.py approve {world.endpoint}/{incident} --evidence {digest} --note "why"'
    assert notice.commands["roll back"] == f'python starter.py rollback {world.endpoint} --reason "why"'
    assert notice.diagnostics.endswith("report.html")
    assert notice.deadline is not None
    assert notice.default is not None
    assert "You are asked because the verdict is regress" in notice.sentence
    report = world.files[notice.diagnostics.replace("http://127.0.0.1/evidence/", "mem:")]
    assert b"<html" in report
