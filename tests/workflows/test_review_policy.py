"""Who may decide, how many have to, and what else the policy asks of an open review."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from contracts.evaluation import Verdict
from contracts.fleet import EndpointPolicy
from contracts.incident import Outcome, Stage
from contracts.notices import NoticeKind
from contracts.review import Resolution, ReviewOutcome
from tests.fakes import World
from tests.stories import Loop, a_policy, an_alarm, running_loop, until

PEOPLE = {"ada": {"roles": ["ml"]}, "grace": {"roles": ["business"]}, "linus": {"roles": ["ml"]}}


def reviewed(**review: Any) -> EndpointPolicy:
    return a_policy(review={"people": PEOPLE, "reviewers": ["ada", "grace"], **review})


def doubtful() -> World:
    """A challenger no better than the champion: people are asked."""
    world = World(challenger_quality=0.9)
    world.champion(quality=0.9)
    return world


async def asked(loop: Loop, **alarm: Any) -> tuple[WorkflowHandle[Any, Any], str]:
    """The review that waits, and the digest that it shows."""
    await loop.alarm(an_alarm(**alarm))
    handle = await loop.in_stage(Stage.REVIEW)
    digest = (await loop.incident_status(handle)).evidence
    assert digest is not None
    return handle, digest


async def decide(handle: WorkflowHandle[Any, Any], evidence: str, reviewer: str, *, approve: bool = True) -> ReviewOutcome:
    decision = {"approve": approve, "reviewer": reviewer, "note": "seen", "evidence": evidence}
    outcome: ReviewOutcome = await handle.execute_update("decide", decision, result_type=ReviewOutcome)
    return outcome


async def refusal(handle: WorkflowHandle[Any, Any], evidence: str, reviewer: str, *, approve: bool = True) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await decide(handle, evidence, reviewer, approve=approve)
    assert isinstance(refused.value.cause, ApplicationError)
    return str(refused.value.cause.type)


async def test_a_quorum_counts_people_not_approvals_and_wants_its_roles(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = doubtful()
    policy = reviewed(reviewers=[], quorum={"count": 2, "roles": {"ml": 1, "business": 1}})
    async with running_loop(temporal_env, world, task_queue, policy) as loop:
        handle, evidence = await asked(loop)
        first = await decide(handle, evidence, "ada")
        assert (first.resolution, first.promote) == (Resolution.PENDING, False)
        assert first.reason == "1 more and 1 with the role business"
        assert await refusal(handle, evidence, "ada") == "CountedAlready"
        assert (await decide(handle, evidence, "linus")).reason == "1 with the role business"
        status = await loop.incident_status(handle)
        assert [one.decision.reviewer for one in status.decisions] == ["ada", "linus"]
        assert status.missing == "1 with the role business"
        assert (await decide(handle, evidence, "grace")).promote
        history = (await loop.closed()).state.history
    assert history[0].outcome is Outcome.PROMOTED
    assert "ada and linus and grace" in history[0].sentence
    review = world.records[0].entry.facts["review"]
    assert [one["decision"]["reviewer"] for one in review["decisions"]] == ["ada", "linus", "grace"]
    assert world.records[0].entry.facts["asked"]["quorum"] == {"count": 2, "roles": {"ml": 1, "business": 1}}


async def test_one_rejection_rejects_whatever_the_quorum(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = doubtful()
    async with running_loop(temporal_env, world, task_queue, reviewed(quorum={"count": 2})) as loop:
        handle, evidence = await asked(loop)
        await decide(handle, evidence, "ada")
        assert (await decide(handle, evidence, "grace", approve=False)).resolution is Resolution.REJECTED
        assert (await loop.closed()).state.history[0].outcome is Outcome.HELD


async def test_whoever_raised_the_alarm_by_hand_can_reject_but_not_approve(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = doubtful()
    async with running_loop(temporal_env, world, task_queue, reviewed(four_eyes=True)) as loop:
        handle, evidence = await asked(loop, source="by hand: ada@laptop")
        assert await refusal(handle, evidence, "ada") == "FourEyes"
        assert (await decide(handle, evidence, "grace")).promote
        assert (await loop.closed()).state.history[0].outcome is Outcome.PROMOTED


async def test_a_bare_name_is_refused_unless_the_policy_accepts_it(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = doubtful()
    async with running_loop(temporal_env, world, task_queue, reviewed(unverified="refuse")) as loop:
        handle, evidence = await asked(loop)
        assert await refusal(handle, evidence, "ada") == "Unverified"
        await handle.signal("approve", {"reviewer": "ada"})
        await loop.lifecycle.execute_update("configure", reviewed(unverified="accept"))

        async def accepted() -> bool:
            return (await loop.incident_status(handle)).stage is Stage.REVIEW and bool(
                (await loop.incident_status(handle)).refused
            )

        await until(accepted, "the refused signal")
        assert (await decide(handle, evidence, "ada", approve=False)).identity == "unverified"
        await loop.closed()
    facts = world.records[-1].entry.facts
    assert [(one["reviewer"], one["kind"]) for one in facts["refused"]] == [("ada", "Unverified")]
    assert facts["review"]["identity"] == "unverified"


async def test_the_ladder_tells_others_and_lets_them_decide(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = doubtful()
    policy = reviewed(reviewers=["ada"], escalate=[{"after": "12h", "tell": ["role:business"], "may_decide": True}])
    async with running_loop(temporal_env, world, task_queue, policy) as loop:
        handle, evidence = await asked(loop)
        assert await refusal(handle, evidence, "grace") == "NotAnApprover"
        await temporal_env.fast_forward(handle, timedelta(hours=13))

        async def escalated() -> bool:
            return NoticeKind.ESCALATION in [n.kind for n in world.notices]

        await until(escalated, "the escalation")
        assert (await decide(handle, evidence, "grace", approve=False)).resolution is Resolution.REJECTED
        await loop.closed()
    assert [n.kind for n in world.notices] == [
        NoticeKind.REVIEW,
        NoticeKind.REMINDER,
        NoticeKind.ESCALATION,
        NoticeKind.OUTCOME,
    ]
    assert world.notices[2].recipients == ("role:business",)
    assert world.notices[3].recipients == ("ada", "role:business")
    told = world.records[-1].entry.facts["told"]
    assert [(one["kind"], one["to"]) for one in told] == [
        ("review", ["ada"]),
        ("reminder", ["ada"]),
        ("escalation", ["role:business"]),
    ]


async def test_a_reviewer_taken_out_of_the_policy_no_longer_counts(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = doubtful()
    async with running_loop(temporal_env, world, task_queue, reviewed(quorum={"count": 2})) as loop:
        handle, evidence = await asked(loop)
        await decide(handle, evidence, "ada")
        await loop.lifecycle.execute_update("configure", reviewed(reviewers=["grace", "linus"], quorum={"count": 2}))

        async def gone() -> bool:
            return (await loop.incident_status(handle)).decisions == ()

        await until(gone, "a review without the approval of before")
        assert await refusal(handle, evidence, "ada") == "NotAnApprover"
        assert (await decide(handle, evidence, "grace")).resolution is Resolution.PENDING
        outcome = await decide(handle, evidence, "linus")
        assert outcome.promote
        assert [one.decision.reviewer for one in outcome.decisions] == ["grace", "linus"]
        await loop.closed()


async def test_who_stands_in_for_another_decides_in_their_place_until_the_day(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    now = datetime.now(UTC)
    ended = {"of": "grace", "to": "linus", "until": now - timedelta(hours=1)}
    world = doubtful()
    policy = reviewed(reviewers=["ada", "grace"], delegations=[ended], quorum={"count": 2, "roles": {"business": 1}})
    async with running_loop(temporal_env, world, task_queue, policy) as loop:
        handle, evidence = await asked(loop)
        assert await refusal(handle, evidence, "linus") == "NotAnApprover"
        lasting = {**ended, "until": now + timedelta(days=300)}
        await loop.lifecycle.execute_update(
            "configure", policy.model_copy(update={"review": reviewed(**_with(policy, delegations=[lasting])).review})
        )

        async def may() -> bool:
            try:
                return (await decide(handle, evidence, "linus")).resolution is Resolution.PENDING
            except WorkflowUpdateFailedError:
                return False

        await until(may, "the delegation")
        assert await refusal(handle, evidence, "grace") == "CountedAlready"
        outcome = await decide(handle, evidence, "ada")
        await loop.closed()
    assert outcome.promote
    assert [(one.decision.reviewer, one.instead_of) for one in outcome.decisions] == [("linus", "grace"), ("ada", "")]


def _with(policy: EndpointPolicy, **changes: Any) -> dict[str, Any]:
    return {"reviewers": policy.review.reviewers, "quorum": policy.review.quorum, **changes}


async def test_a_policy_with_five_hundred_people_is_taken(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = doubtful()
    everybody = {f"person-{n}": {"name": "x" * 60, "roles": ["ml"], "subjects": [f"person-{n}@example.com"]} for n in range(500)}
    async with running_loop(temporal_env, world, task_queue, reviewed(people=everybody, reviewers=["role:ml"])) as loop:
        policy = (await loop.status()).state.policy
    assert policy is not None
    assert len(policy.review.people) == 500


async def test_a_person_is_asked_before_every_promotion_of_a_critical_endpoint(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World()
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue, a_policy(tier="critical", rollout={"watch": "0s"})) as loop:
        handle, evidence = await asked(loop)
        status = await loop.incident_status(handle)
        assert status.judgement is not None
        assert status.judgement.verdict is Verdict.PROMOTE
        assert status.asked is not None
        assert status.asked.reasons == ("the endpoint's tier is critical",)
        await decide(handle, evidence, "ada")
        incident = (await loop.closed()).state.history[0]
    assert (incident.outcome, incident.automatic) == (Outcome.PROMOTED, False)
