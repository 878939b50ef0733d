"""A review is bound to what it rests on: it ends by itself when that changes, and an approval is looked at once more."""

from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from contracts.alarm import Cleared
from contracts.incident import AlarmFate, Outcome, Stage
from contracts.notices import NoticeKind
from contracts.review import Resolution, ReviewOutcome
from tests.benches import keep_a_record, shadow_policy
from tests.fakes import AS_OF, World, fake_platform
from tests.stories import Loop, a_policy, an_alarm, running_loop, start_lifecycle, until, workers

LOOKS = {"recheck_every": "0.2s"}


def doubtful(**changes: Any) -> World:
    """A challenger no better than the champion: people are asked."""
    world = World(challenger_quality=0.9, **changes)
    world.champion(quality=0.9)
    return world


async def approve(loop: Loop, handle: WorkflowHandle[Any, Any], *only_if: str) -> ReviewOutcome:
    evidence = (await loop.incident_status(handle)).evidence
    decision = {"approve": True, "reviewer": "ada", "note": "seen", "evidence": evidence, "only_if": only_if}
    outcome: ReviewOutcome = await handle.execute_update("decide", decision, result_type=ReviewOutcome)
    return outcome


async def test_another_champion_voids_the_open_review_and_says_so(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = doubtful()
    async with running_loop(temporal_env, world, task_queue, a_policy(review=LOOKS)) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        evidence = (await loop.incident_status(handle)).evidence
        other = world.champion("put there by hand", quality=0.9)
        incident = (await loop.closed()).state.history[0]
        await loop.lifecycle.signal("approve", {"reviewer": "ada", "evidence": evidence})
    assert (incident.outcome, incident.reviewed) == (Outcome.VOIDED, Resolution.VOIDED)
    assert f"The champion is now {other.digest[:12]}" in incident.sentence
    assert [n.kind for n in world.notices] == [NoticeKind.REVIEW, NoticeKind.VOIDED]
    assert world.manifests[-1].champion == other
    assert world.events() == ["closed"]


async def test_newer_data_voids_the_review_where_the_policy_says_how_much(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = doubtful()
    policy = a_policy(review={**LOOKS, "stale_after": "7d"})
    async with running_loop(temporal_env, world, task_queue, policy) as loop:
        await loop.alarm()
        await loop.in_stage(Stage.REVIEW)
        world.label_lead += timedelta(days=6)
        world.calls.clear()

        async def looked() -> bool:
            return world.calls.count("watermark") > 1

        await until(looked, "two looks")
        assert (await loop.status()).state.open is not None
        world.label_lead += timedelta(days=2)
        incident = (await loop.closed()).state.history[0]
    assert incident.outcome is Outcome.VOIDED
    assert "8.0 days of newer data have come" in incident.sentence


async def test_the_next_turn_of_the_shadow_bench_voids_a_review_of_its_evidence(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World()
    world.champion(quality=0.9)
    policy = shadow_policy()
    keep_a_record(world, policy)
    asking = policy.model_copy(update={"review": a_policy(review=LOOKS).review})
    async with running_loop(temporal_env, world, task_queue, asking) as loop:
        await loop.alarm()
        await loop.in_stage(Stage.REVIEW)
        last = world.bench[-1]
        assert last.reached is not None
        turn = {"reached": last.reached + timedelta(days=7), "revision": last.revision + 1, "key": "next"}
        world.bench.append(last.model_copy(update=turn))
        incident = (await loop.closed()).state.history[0]
    assert incident.outcome is Outcome.VOIDED
    assert "The shadow bench has newer evidence" in incident.sentence


async def test_an_approval_of_what_has_changed_meanwhile_promotes_nothing(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = doubtful()
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        other = world.champion("put there by hand", quality=0.9)
        await approve(loop, handle)
        incident = (await loop.closed()).state.history[0]
    assert (incident.outcome, incident.promoted) == (Outcome.VOIDED, False)
    assert world.manifests[-1].champion == other
    assert world.notices[-1].kind is NoticeKind.VOIDED


async def test_a_rollback_by_hand_voids_the_review(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = doubtful()
    world.champion("second", quality=0.9)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        await loop.in_stage(Stage.REVIEW)
        await loop.lifecycle.execute_update("rollback", {"by": "ada", "reason": "complaints"})
        incident = (await loop.closed()).state.history[0]
    assert (incident.outcome, incident.reviewed) == (Outcome.CANCELLED, Resolution.VOIDED)
    assert NoticeKind.VOIDED in [n.kind for n in world.notices]


async def test_a_review_closes_itself_once_all_its_alarms_have_cleared(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = doubtful()
    policy = a_policy(intake={"debounce": "1s"})
    async with running_loop(temporal_env, world, task_queue, policy) as loop:
        await loop.alarm(an_alarm(1), an_alarm(2))
        handle = await loop.in_stage(Stage.REVIEW)
        await loop.alarm(an_alarm(3, AS_OF + timedelta(days=90)))
        for n in (3, 1):
            await loop.lifecycle.signal("cleared", Cleared(id=f"alarm-{n}", endpoint=world.endpoint))
        assert (await loop.incident_status(handle)).stage is Stage.REVIEW
        await loop.lifecycle.signal("cleared", Cleared(id="alarm-2", endpoint=world.endpoint))
        state = (await loop.closed()).state
    assert (state.history[0].outcome, state.history[0].reviewed) == (Outcome.HEALED, Resolution.HEALED)
    assert state.counts[AlarmFate.CLEARED.value] == 1, "the third waited, and was taken back"
    assert world.notices[-1].kind is NoticeKind.HEALED


UNMET = {
    "no_new_alarm": "1 newer alarms wait, the first is alarm-2",
    "error_rate_below:0.01": "40 of 50 requests failed",
    "before:2020-01-01T00:00Z": "UTC by now",
    "no_slice_worse_than:0.05": "no slice could be judged",
}


async def test_an_approval_whose_conditions_fail_at_the_moment_of_promotion_keeps_the_champion(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = doubtful(healthy=False)
    champion = world.manifests[-1].champion
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        await loop.alarm(an_alarm(2, AS_OF + timedelta(hours=1)))
        await approve(loop, handle, "champion_unchanged", *UNMET)
        incident = (await loop.closed()).state.history[0]
    assert (incident.outcome, incident.reviewed) == (Outcome.HELD, Resolution.UNMET)
    said = world.records[-1].entry.facts["review"]["reason"]
    assert all(f"{condition}: " in said and why in said for condition, why in UNMET.items()), said
    assert "champion_unchanged:" not in said
    assert world.manifests[-1].champion == champion


async def test_an_approval_whose_conditions_hold_promotes(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = doubtful()
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        await approve(loop, handle, "no_new_alarm", "error_rate_below:0.01", "before:2100-01-01T00:00Z")
        assert (await loop.closed()).state.history[0].outcome is Outcome.PROMOTED
    assert world.records[0].entry.facts["review"]["decision"]["only_if"][0] == "no_new_alarm"


async def test_a_review_outlives_its_worker(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    """Counted before the worker went, decided after another came."""
    world = doubtful()
    client, policy = temporal_env.client, a_policy(review={**LOOKS, "quorum": {"count": 2}})
    async with workers(client, fake_platform(world), task_queue):
        lifecycle = await start_lifecycle(client, task_queue, world.endpoint)
        await lifecycle.execute_update("configure", policy)
        loop = Loop(temporal_env, client, world, lifecycle, task_queue)
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        evidence = (await loop.incident_status(handle)).evidence
        await approve(loop, handle)
    async with workers(client, fake_platform(world), task_queue):
        decision = {"approve": True, "reviewer": "grace", "evidence": evidence}
        outcome = await handle.execute_update("decide", decision, result_type=ReviewOutcome)
        assert [one.decision.reviewer for one in outcome.decisions] == ["ada", "grace"]
        assert (await loop.closed()).state.history[0].outcome is Outcome.PROMOTED
        await lifecycle.terminate("the story is told")


async def test_nobody_is_asked_about_alarms_that_cleared_while_it_trained(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = doubtful(training_holds=True)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.TRAIN)
        await handle.signal("cleared", Cleared(id="alarm-1", endpoint=world.endpoint))
        world.training_holds = False
        assert (await loop.closed()).state.history[0].outcome is Outcome.HEALED
    assert [n.kind for n in world.notices] == [NoticeKind.HEALED]
