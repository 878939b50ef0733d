"""When something breaks: the champion serves on, people are told, nothing temporary stays, the record says why."""

from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from contracts.incident import Outcome, Stage, WaitingOn
from contracts.notices import NoticeKind
from contracts.training import ModelStatus
from platforms.errors import Corrupt, Exhausted, TrainingFailed, Unavailable
from tests.fakes import World
from tests.stories import a_policy, an_alarm, running_loop, until


async def test_cancelling_during_training_stops_the_job_and_cleans_up(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(training_holds=True)
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.TRAIN)

        async def running() -> bool:
            return len(world.jobs) == 2

        await until(running, "two jobs")
        await handle.cancel()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.CANCELLED
    assert world.stopped == set(world.jobs)
    assert world.resources == {}
    assert world.events() == ["closed"]
    assert status.state.cool_until is None


async def test_cancelling_again_during_the_cleanup_skips_nothing(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(training_holds=True, failures={"remove": [Unavailable("busy")]})
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.TRAIN)
        await handle.cancel()
        for _ in range(5):
            await handle.cancel()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.CANCELLED
    assert world.resources == {}
    assert world.events() == ["closed"]


async def test_a_failed_training_ends_the_incident_and_pages(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(failures={"train": [TrainingFailed("out of memory: the limit is 4096 MB")] * 2})
    champion = world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        status = await loop.closed()
    incident = status.state.history[0]
    assert incident.outcome is Outcome.FAILED
    assert "TrainingFailed: out of memory: the limit is 4096 MB" in incident.sentence
    assert NoticeKind.PAGE in [n.kind for n in world.notices]
    assert world.manifests[-1].champion == champion
    assert world.resources == {}


async def test_no_record_no_promotion(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(failures={"audit:decided": [Corrupt("the chain is broken at record 7")]})
    champion = world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.FAILED
    assert "the chain is broken" in status.state.history[0].sentence
    assert world.deployed == []
    assert world.manifests[-1].champion == champion


async def test_a_promotion_that_breaks_off_puts_the_champion_back(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(failures={"manifest": [Corrupt("manifest folder is not readable")]})
    champion = world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.FAILED
    assert len(world.deployed) == 2
    assert world.serving[world.endpoint].model == champion
    assert world.resources == {}


async def test_a_full_disk_is_waited_for_and_then_the_work_goes_on(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(failures={"snapshot": [Exhausted("the disk is full")]})
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.PROMOTED


async def test_short_coverage_waits_for_labels_and_looks_again(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(coverage_short=1)
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue, a_policy(rollout={"watch": "0s"})) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.DEFERRED)
        status = await loop.incident_status(handle)
        assert status.waiting_on is WaitingOn.LABELS
        assert status.sentence == "Short of data: positives: found 0, wanted 20."
        await temporal_env.fast_forward(handle, timedelta(days=1, minutes=1))
        closed = await loop.closed()
    assert closed.state.history[0].outcome is Outcome.PROMOTED
    assert closed.state.history[0].as_of > an_alarm().as_of


async def test_a_snapshot_with_no_positives_ends_where_the_policy_says_so(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World(coverage_short=99)
    world.champion(quality=0.6)
    policy = a_policy(data={"coverage": {"on_short": "end"}})
    async with running_loop(temporal_env, world, task_queue, policy) as loop:
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.SHORT_OF_DATA
    assert "positives: found 0, wanted 20" in status.state.history[0].sentence
    assert world.jobs == {}
    assert world.resources == {}


async def test_errors_while_baking_roll_back(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(healthy=False)
    champion = world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.ROLLED_BACK
    assert world.manifests[-1].champion == champion
    assert world.cards[world.manifests[-2].champion.digest].status is ModelStatus.ROLLED_BACK
    assert world.serving[world.endpoint].model == champion


async def test_late_labels_that_show_a_worse_champion_roll_back(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(refit_quality=-0.9)
    champion = world.champion(quality=0.6)
    lenient = a_policy(gate={"max_refit_disagreement": 1.0})
    async with running_loop(temporal_env, world, task_queue, lenient) as loop:
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.ROLLED_BACK, status.state.history[0].sentence
    assert world.manifests[-1].champion == champion


async def test_a_rollback_that_fails_pages_at_once(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(healthy=False, failures={"deploy": [None, Corrupt("model file is damaged")]})
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.FAILED
    pages = [n for n in world.notices if n.kind is NoticeKind.PAGE]
    assert "still serves: Corrupt: model file is damaged" in pages[0].sentence


async def test_labels_that_never_come_end_the_watch_at_its_limit(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(label_lead=timedelta(0))
    world.champion(quality=0.6)
    policy = a_policy(rollout={"watch_limit": "2s"})
    async with running_loop(temporal_env, world, task_queue, policy) as loop:
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.PROMOTED
    assert any("watch ended without all labels" in note for note in world.records[-1].entry.facts["notes"])


async def test_an_end_that_cannot_be_recorded_is_paged(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    broken = Corrupt("the chain is broken at record 7")
    world = World(failures={"audit:decided": [broken], "audit:closed": [broken]})
    champion = world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.FAILED
    assert [n.kind for n in world.notices] == [NoticeKind.PAGE]
    assert "could not be recorded: Corrupt: the chain is broken at record 7" in world.notices[0].sentence
    assert world.manifests[-1].champion == champion
    assert world.resources == {}


async def test_a_promotion_that_breaks_off_after_its_manifest_goes_back_too(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World(failures={"mark": [Corrupt("the card is damaged")]})
    champion = world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.FAILED
    assert len(world.manifests) == 3
    assert world.manifests[-1].champion == champion
    assert world.serving[world.endpoint].model == champion


async def test_a_first_champion_is_not_kept_waiting_for_more_alarms(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    async with running_loop(temporal_env, world, task_queue, a_policy(intake={"debounce": "1h"})) as loop:
        await loop.alarm(an_alarm(kind="onboarding"))
        first = await loop.closed()
        await loop.alarm(an_alarm(2, as_of=an_alarm().as_of + timedelta(days=60)))

        async def debouncing() -> bool:
            return (await loop.status()).stage == "debounce"

        await until(debouncing, "the debounce")
    assert first.state.history[0].outcome is Outcome.PROMOTED


async def test_a_promotion_that_is_terminated_leaves_the_manifests_champion_in_service(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World(failures={"manifest": [Unavailable("busy")] * 4})
    champion = world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.PROMOTE)

        async def deployed() -> bool:
            return len(world.deployed) > 0

        await until(deployed, "the deployment")
        await handle.terminate("by hand")
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.FAILED
    assert "The manifest's champion serves" in status.state.history[0].sentence
    assert world.serving[world.endpoint].model == champion
    assert world.manifests[-1].champion == champion


async def test_a_cancel_that_a_landing_promotion_hides_still_counts(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(failures={"manifest": [Unavailable("busy")]})
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue, a_policy(rollout={"bake": "1h"})) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.PROMOTE)
        await handle.cancel()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.CANCELLED
    assert world.resources == {}


async def test_a_challenger_that_is_the_champion_again_is_not_promoted(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World()
    async with running_loop(temporal_env, world, task_queue, a_policy(intake={"cool_down": "0s"})) as loop:
        await loop.alarm()
        first = (await loop.closed()).state.history[0].incident
        again = world.manifests[-1].champion.digest
        world.fixed_refit = again
        await loop.alarm(an_alarm(2, as_of=an_alarm().as_of + timedelta(days=60)))
        status = await loop.closed(2)
    assert first != status.state.history[1].incident
    assert status.state.history[1].outcome is Outcome.HELD
    assert "byte for byte" in status.state.history[1].sentence
    assert len(world.manifests) == 1


async def test_a_first_champion_in_trouble_is_paged_since_there_is_none_to_go_back_to(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World(healthy=False)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.FAILED
    assert "there is none to go back to" in status.state.history[0].sentence
    assert NoticeKind.PAGE in [n.kind for n in world.notices]


async def test_a_bake_that_cannot_be_looked_at_goes_back(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(failures={"health": [Corrupt("the counts can't be read")]})
    champion = world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.ROLLED_BACK
    assert world.serving[world.endpoint].model == champion
