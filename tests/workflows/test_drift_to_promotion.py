"""Drift, retraining, good evidence: promoted by itself, recorded, watched, nothing left behind."""

from temporalio.testing import WorkflowEnvironment

from contracts.incident import Outcome
from contracts.training import ModelStatus
from tests.fakes import World
from tests.stories import running_loop


async def test_a_better_challenger_is_promoted_by_itself(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    before = world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        status = await loop.closed()
    incident = status.state.history[0]
    assert incident.outcome is Outcome.PROMOTED, incident.sentence
    assert incident.automatic
    after = world.manifests[-1]
    assert after.revision == 2
    assert after.lineage == (before.digest,)
    assert world.cards[after.champion.digest].status is ModelStatus.CHAMPION
    assert world.cards[before.digest].status is ModelStatus.RETIRED
    assert world.serving[world.endpoint].model == after.champion
    assert world.events() == ["decided", "closed"]
    assert world.resources == {}
    assert status.state.counts["opened"] == 1
