"""Where the policy wants somebody to vouch for a decision, a ticket counts once, and only for whom it was signed by."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from contracts.incident import Outcome, Stage
from contracts.review import Resolution, ReviewOutcome, VouchedBy
from platforms.errors import Unavailable
from tests.fakes import FakeVault, World, fake_token
from tests.stories import Loop, a_policy, running_loop, until

SIGNED = a_policy(review={"people": {"ada": {}, "grace": {}, "linus": {}}, "reviewers": ["ada", "grace"], "unverified": "refuse"})
TWO = SIGNED.model_copy(update={"review": SIGNED.review.model_copy(update={"quorum": {"count": 2}})})


def doubtful(**changes: Any) -> World:
    """A challenger no better than the champion: people are asked."""
    world = World(challenger_quality=0.9, **changes)
    world.champion(quality=0.9)
    return world


async def offered(loop: Loop, handle: WorkflowHandle[Any, Any], reviewer: str, ticket: str) -> ReviewOutcome | str:
    """What it came to, or the type of its refusal."""
    evidence = (await loop.incident_status(handle)).evidence
    decision = {"approve": True, "reviewer": reviewer, "note": "seen", "evidence": evidence, "ticket": ticket}
    try:
        outcome: ReviewOutcome = await handle.execute_update("decide", decision, result_type=ReviewOutcome)
    except WorkflowUpdateFailedError as error:
        return str(getattr(error.cause, "type", error.cause))
    return outcome


async def test_a_signed_decision_counts_and_the_record_says_who_vouches(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = doubtful()
    async with running_loop(temporal_env, world, task_queue, SIGNED) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        ticket = FakeVault(world).keep(fake_token("grace"))
        assert await offered(loop, handle, "ada", ticket) == "OtherPerson"
        assert await offered(loop, handle, "grace", "0" * 64) == "UnknownTicket"
        outcome = await offered(loop, handle, "grace", ticket)
        history = (await loop.closed()).state.history
    assert isinstance(outcome, ReviewOutcome)
    assert (outcome.resolution, outcome.identity) == (Resolution.APPROVED, VouchedBy.OWN_KEY.value)
    assert history[0].outcome is Outcome.PROMOTED
    facts = world.records[-1].entry.facts
    assert facts["review"]["decisions"][0]["vouched"]["ticket"] == ticket
    assert [(one["kind"], one["reviewer"]) for one in facts["refused"]] == [("OtherPerson", "ada"), ("UnknownTicket", "grace")]
    assert facts["refused"][0]["vouched"]["person"] == "grace", "who signed what was not theirs is kept"


async def test_one_ticket_offered_twice_at_once_counts_once(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = doubtful(failures={"verify": [Unavailable("slow"), Unavailable("slow")]})
    async with running_loop(temporal_env, world, task_queue, TWO) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        ticket = FakeVault(world).keep(fake_token("ada"))
        answers = await asyncio.gather(*(offered(loop, handle, "ada", ticket) for _ in range(2)))
        assert "TicketUsed" in answers
        assert [one.resolution for one in answers if isinstance(one, ReviewOutcome)] == [Resolution.PENDING]
        await offered(loop, handle, "grace", FakeVault(world).keep(fake_token("grace")))
        assert (await loop.closed()).state.history[0].outcome is Outcome.PROMOTED


async def test_a_signal_with_a_ticket_is_verified_in_the_background(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = doubtful()
    async with running_loop(temporal_env, world, task_queue, SIGNED) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        ada, grace = (FakeVault(world).keep(fake_token(name)) for name in ("ada", "grace"))
        await loop.lifecycle.signal("approve", {"reviewer": "ada", "ticket": grace})

        async def refused() -> bool:
            return bool((await loop.incident_status(handle)).refused)

        await until(refused, "the refusal, in the status")
        await loop.lifecycle.signal("reject", {"reviewer": "ada", "note": "no", "ticket": ada})
        assert (await loop.closed()).state.history[0].outcome is Outcome.HELD
    assert world.records[-1].entry.facts["review"]["identity"] == "own key"


async def test_who_is_taken_out_of_the_policy_while_it_waits_can_not_decide(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = doubtful()
    async with running_loop(temporal_env, world, task_queue, SIGNED) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        only_grace = SIGNED.review.model_copy(update={"reviewers": ("grace",)})
        await loop.lifecycle.execute_update("configure", SIGNED.model_copy(update={"review": only_grace}))
        ticket = FakeVault(world).keep(fake_token("ada"))

        async def out() -> bool:
            return "ada" not in (await loop.incident_status(handle)).reviewers

        await until(out, "the policy in the review")
        assert await offered(loop, handle, "ada", ticket) == "NotAnApprover"


async def test_a_decision_that_came_in_time_counts_though_it_is_verified_after_the_deadline(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    """Four failures with growing pauses take longer than the review waits."""
    world = doubtful(failures={"verify": [Unavailable("the issuer is slow")] * 4})
    short = SIGNED.review.model_copy(update={"timeout": timedelta(seconds=5)})
    async with running_loop(temporal_env, world, task_queue, SIGNED.model_copy(update={"review": short})) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        deadline = (await loop.incident_status(handle)).review_deadline
        outcome = await offered(loop, handle, "ada", FakeVault(world).keep(fake_token("ada")))
        assert isinstance(outcome, ReviewOutcome)
        assert deadline is not None
        assert outcome.decided_at > deadline
        assert (await loop.closed()).state.history[0].outcome is Outcome.PROMOTED
