"""Looks at the strict gate are counted: each comparison with the same champion makes the next one stricter."""

from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from contracts.evaluation import GateKind, Judgement
from contracts.incident import Outcome
from tests.fakes import AS_OF, World
from tests.stories import a_policy, an_alarm, running_loop


def _judgements(world: World) -> list[Judgement]:
    found = [record.entry.facts.get("judgement") for record in world.records]
    return [Judgement.model_validate(judgement) for judgement in found if judgement]


async def test_the_second_rival_of_the_same_champion_is_held_to_half_the_chance(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World()
    world.champion(quality=0.9, trained_through=AS_OF - timedelta(days=20))
    policy = a_policy(intake={"cool_down": "0s"}, review={"timeout": "1s", "remind_after": "1s"})
    async with running_loop(temporal_env, world, task_queue, policy) as loop:
        await loop.alarm()
        first = await loop.closed()
        await loop.alarm(an_alarm(2, AS_OF + timedelta(days=1)))
        second = await loop.closed(2)
    assert first.state.history[0].outcome is Outcome.EXPIRED
    assert (first.state.strict_looks, second.state.strict_looks) == (1, 2)
    judged = _judgements(world)
    assert {judgement.kind for judgement in judged} == {GateKind.STRICT}
    assert [judgement.family for judgement in judged] == [1, 2]
    assert judged[1].least_t is not None
    assert judged[0].least_t is not None
    assert judged[1].least_t > judged[0].least_t
