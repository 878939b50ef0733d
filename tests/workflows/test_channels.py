"""Notices go through channels once per state; one that is down delays nothing, is tried on, and is named."""

from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from contracts.delivery import TellLate
from contracts.fleet import EndpointPolicy
from contracts.ids import late_notice_id
from contracts.incident import Outcome, Stage
from contracts.notices import NoticeKind
from contracts.review import Notice
from platforms.errors import Invalid, Unavailable
from tests.fakes import World, fake_platform
from tests.stories import Loop, a_policy, running_loop, until, workers
from workflows.late_notice import LateNotice

DOWN = Unavailable("slack://...: HTTP 500")


def reached(**changes: Any) -> EndpointPolicy:
    review = {
        "reach": {"slack": {"url": "slack://${SLACK}/#alerts"}, "mail": {"url": "mailto://mail.example.com?to=a@example.com"}},
        "channels": ["slack", "mail"],
        "timeout": "24h",
        "remind_after": "8h",
    }
    return a_policy(review={**review, **changes})


def weak() -> World:
    world = World(challenger_quality=0.3)
    world.champion(quality=0.9)
    return world


def told(world: World, channel: str) -> list[str]:
    return [kind for name, kind in world.told if name == channel]


async def missed(loop: Loop, handle: WorkflowHandle[Any, Any]) -> list[tuple[str, str, bool]]:
    """Kind, channel and whether it is still tried, by the status."""
    untold = (await loop.incident_status(handle)).untold
    return [(one.kind.value, one.channel, one.trying_until is not None) for one in untold]


async def test_every_channel_hears_of_each_state_once(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = weak()
    async with running_loop(temporal_env, world, task_queue, reached()) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        await temporal_env.fast_forward(handle, timedelta(hours=25))
        await loop.closed()
    assert told(world, "slack") == told(world, "mail") == ["review", "reminder", "outcome"]
    assert [n.kind for n in world.notices] == [NoticeKind.REVIEW, NoticeKind.REMINDER, NoticeKind.OUTCOME]
    assert "untold" not in world.events()
    facts = next(r.entry.facts for r in world.records if r.entry.event.value == "closed")
    assert facts["notes"] == ["the verdict is regress"]


async def test_a_channel_that_fails_once_is_tried_again_and_the_other_hears_it_once(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = weak()
    world.failures["tell:slack"] = [DOWN]
    async with running_loop(temporal_env, world, task_queue, reached()) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)

        async def heard() -> bool:
            return told(world, "slack") == ["review"]

        await until(heard, "slack")
        assert await missed(loop, handle) == []
    assert told(world, "mail") == ["review"]


async def test_a_channel_that_is_down_delays_nothing_and_the_record_names_it(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = weak()
    world.failures["tell:slack"] = [DOWN] * 1000
    async with running_loop(temporal_env, world, task_queue, reached(timeout="3s", remind_after="3s")) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)

        async def noted() -> bool:
            return await missed(loop, handle) == [("review", "slack", True)]

        await until(noted, "slack among those not told")
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.EXPIRED
    assert told(world, "mail") == ["review", "outcome"]
    facts = next(r.entry.facts for r in world.records if r.entry.event.value == "closed")
    assert [(one["kind"], one["channel"], one["reason"]) for one in facts["untold"]] == [("review", "slack", str(DOWN))]
    assert f"not told by slack: {DOWN}" in " ".join(facts["notes"])


async def test_what_was_missed_is_told_when_the_channel_is_back_unless_it_is_overtaken(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = weak()
    world.failures["tell:slack"] = [DOWN] * 4
    async with running_loop(temporal_env, world, task_queue, reached()) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        late = loop.client.get_workflow_handle(late_notice_id(f"{handle.id}/review/1"))

        async def noted() -> bool:
            return await missed(loop, handle) == [("review", "slack", True)]

        await until(noted, "slack among those not told")
        await temporal_env.fast_forward(late, timedelta(hours=2))

        async def heard() -> bool:
            return told(world, "slack") == ["review"] and await missed(loop, handle) == []

        await until(heard, "slack")


async def test_a_reminder_overtakes_the_notice_that_a_channel_has_missed(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = weak()
    world.failures["tell:slack"] = [DOWN] * 3
    async with running_loop(temporal_env, world, task_queue, reached(remind_after="4s")) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)

        async def reminded() -> bool:
            return told(world, "slack") == ["reminder"] and await missed(loop, handle) == []

        await until(reminded, "the reminder")
        late = loop.client.get_workflow_handle(late_notice_id(f"{handle.id}/review/1"))
        assert (await late.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_an_address_that_can_never_work_is_given_up_at_once(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = weak()
    world.failures["tell:slack"] = [Invalid("slack://...: Apprise doesn't take this address")]
    async with running_loop(temporal_env, world, task_queue, reached()) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)

        async def noted() -> bool:
            return await missed(loop, handle) == [("review", "slack", False)]

        await until(noted, "slack among those not told")
    assert told(world, "mail") == ["review"]


async def test_a_channel_that_never_comes_back_is_recorded_at_the_deadline(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = weak()
    world.failures["tell:slack"] = [DOWN] * 1000
    notice = Notice.model_validate(
        {
            "key": f"endpoint/{world.endpoint}/page/1",
            "kind": "page",
            "endpoint": world.endpoint,
            "incident": "",
            "title": "needs a person now",
            "sentence": "A promotion broke off.",
            "channels": {"slack": {"url": "slack://${SLACK}/#alerts"}},
        }
    )
    async with workers(temporal_env.client, fake_platform(world), task_queue):
        delivery = await temporal_env.client.execute_workflow(
            LateNotice.run,
            TellLate(notice=notice, until=datetime.now(UTC) + timedelta(seconds=10)),
            id=late_notice_id(notice.key),
            task_queue=task_queue,
        )
    assert delivery.sentence == f"not told by slack: {DOWN}"
    assert world.events() == ["untold"]
    assert [(one["channel"], one["reason"]) for one in world.records[0].entry.facts["untold"]] == [("slack", str(DOWN))]


async def test_a_rollback_by_hand_is_told_through_the_channels(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    world.champion(quality=0.6)
    world.champion("newer", quality=0.9)
    world.failures["tell:mail"] = [DOWN] * 2
    async with running_loop(temporal_env, world, task_queue, reached()) as loop:
        await loop.lifecycle.execute_update("rollback", {"by": "ada", "reason": "complaints"})

        async def heard() -> bool:
            return told(world, "slack") == told(world, "mail") == ["outcome"]

        await until(heard, "both channels")


async def test_whoever_is_taken_out_while_the_review_waits_is_not_told_any_more(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = weak()
    people = {"ada": {"channels": ["mail"]}, "grace": {"channels": ["slack"]}}
    async with running_loop(temporal_env, world, task_queue, reached(people=people, channels=[])) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        left = reached(people={"ada": people["ada"]}, channels=[])
        await loop.lifecycle.execute_update("configure", left)
        await temporal_env.fast_forward(handle, timedelta(hours=9))

        async def reminded() -> bool:
            return told(world, "mail") == ["review", "reminder"]

        await until(reminded, "the reminder")
    assert told(world, "slack") == ["review"]


async def test_an_outbox_that_is_full_keeps_no_channel_from_being_told(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = weak()
    world.failures["notify"] = [Invalid("outbox: Permission denied. Check the folder and its permissions")]
    world.failures["tell:slack"] = [DOWN]
    async with running_loop(temporal_env, world, task_queue, reached()) as loop:
        await loop.alarm()
        await loop.in_stage(Stage.REVIEW)

        async def heard() -> bool:
            return told(world, "mail") == told(world, "slack") == ["review"]

        await until(heard, "both channels")
