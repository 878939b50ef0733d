"""`mode: shadow`: the whole loop decides and records, and nothing changes."""

from temporalio.testing import WorkflowEnvironment

from contracts.incident import Accepted, Outcome, RollbackReport
from contracts.notices import NoticeKind
from tests.fakes import World
from tests.stories import a_policy, an_alarm, running_loop

SHADOW = a_policy(mode="shadow")
CHANGING = {"register", "deploy", "manifest", "mark", "recalibrated"}


async def test_a_better_challenger_would_have_been_promoted_and_nothing_is_done(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World()
    world.champion(quality=0.6)
    cards = dict(world.cards)
    async with running_loop(temporal_env, world, task_queue, SHADOW) as loop:
        await loop.alarm()
        state = (await loop.closed()).state
    incident = state.history[0]
    assert incident.outcome is Outcome.SHADOWED, incident.sentence
    assert "would have promoted" in incident.sentence
    assert "by itself: the gate's conditions all hold" in incident.sentence
    assert not CHANGING & set(world.calls)
    assert world.cards == cards
    assert [n.kind for n in world.notices] == [NoticeKind.OUTCOME]
    assert world.notices[0].sentence == incident.sentence
    assert world.notices[0].commands == {}
    assert (state.tokens, state.promoted_as_of) == (1.0, None)
    assert state.cool_until is not None
    assert state.cool_until > an_alarm().as_of
    assert world.resources == {}


async def test_the_records_say_what_would_have_been_done(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue, SHADOW) as loop:
        await loop.alarm()
        await loop.closed()
    assert world.events() == ["decided", "closed"]
    for record in world.records:
        facts = record.entry.facts
        assert (facts["mode"], facts["would_have"]) == ("shadow", "promote")
        assert "promotion" not in facts


async def test_nobody_is_asked_where_somebody_would_have_been(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(challenger_quality=0.3)
    world.champion(quality=0.9)
    async with running_loop(temporal_env, world, task_queue, SHADOW) as loop:
        await loop.alarm()
        state = (await loop.closed()).state
    assert state.history[0].outcome is Outcome.SHADOWED
    assert "would have asked a person: the verdict is regress" in state.history[0].sentence
    assert [n.kind for n in world.notices] == [NoticeKind.OUTCOME]


async def test_the_first_champion_is_not_put_into_service_either(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    async with running_loop(temporal_env, world, task_queue, SHADOW) as loop:
        await loop.alarm(an_alarm(kind="onboarding"))
        state = (await loop.closed()).state
    assert state.history[0].outcome is Outcome.SHADOWED
    assert (world.manifests, world.deployed) == ([], [])


async def test_an_operators_rollback_still_acts(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    first = world.champion("first")
    world.champion("second")
    async with running_loop(temporal_env, world, task_queue, SHADOW) as loop:
        why = {"by": "ada", "reason": "complaints from support"}
        accepted: Accepted = await loop.lifecycle.execute_update("rollback", why, result_type=Accepted)
        report: RollbackReport = await loop.client.get_workflow_handle(accepted.workflow_id, result_type=RollbackReport).result()
    assert report.done
    assert world.serving[world.endpoint].model == first
