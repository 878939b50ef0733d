"""Alarms: none lost, none poisonous, one incident for many, none inside the cool-down."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from contracts.alarm import Cleared
from contracts.incident import Outcome, Stage
from tests.fakes import AS_OF, World
from tests.stories import a_policy, an_alarm, running_loop, start_lifecycle, until, workers


async def test_a_storm_of_alarms_makes_one_incident(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World(training_holds=True)
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm(*(an_alarm(n) for n in range(150)))

        async def all_counted() -> bool:
            counts = (await loop.status()).state.counts
            return counts.get("opened", 0) + counts.get("joined", 0) == 150

        await until(all_counted, "150 fates")
        world.training_holds = False
        status = await loop.closed()
    assert status.state.counts["opened"] == 1
    assert status.state.counts["joined"] == 149
    assert len(status.state.history) == 1


async def test_a_business_kpi_alarm_without_a_metric_is_enough(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm(an_alarm(kind="business_kpi", message="conversion fell by a third", severity="high"))
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.PROMOTED
    assert world.records[0].entry.facts["alarms"][0]["kind"] == "business_kpi"


async def test_a_repeated_alarm_counts_once_and_the_cool_down_absorbs_the_next(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World()
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm()
        await loop.closed()
        await loop.alarm(an_alarm(1), an_alarm(2, AS_OF + timedelta(days=3)))

        async def judged() -> bool:
            return (await loop.status()).state.counts.get("absorbed", 0) == 1

        await until(judged, "the absorbed alarm")
        status = await loop.status()
    assert status.state.counts["duplicate"] == 1
    assert "cool-down until 2024-07-01" in status.state.recent[-1].reason
    assert len(status.state.history) == 1


async def test_an_alarm_during_an_incident_about_newer_data_waits_and_is_judged_again(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World(training_holds=True)
    world.champion(quality=0.6)
    policy = a_policy(intake={"cool_down": "0s"}, review={"ask_on": []})
    async with running_loop(temporal_env, world, task_queue, policy) as loop:
        await loop.alarm()
        await loop.in_stage(Stage.TRAIN)
        await loop.alarm(an_alarm(2, AS_OF - timedelta(hours=1)), an_alarm(3, AS_OF + timedelta(days=20)))

        async def joined() -> bool:
            return (await loop.status()).state.counts.get("joined", 0) == 1

        await until(joined, "the joined alarm")
        assert [a.id for a in (await loop.status()).state.pending] == ["alarm-3"]
        world.training_holds = False
        status = await loop.closed(2)
    assert status.state.counts["opened"] == 2


async def test_a_malformed_signal_is_quarantined_and_poisons_nothing(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        send = loop.lifecycle.signal
        await send("alarm")
        await send("alarm", None)
        await send("alarm", args=[{"id": "x"}, {"id": "y"}])
        await send("alarm", {"id": "a", "endpoint": world.endpoint, "kind": "model_quality"})
        await send("alarm", {"id": "a", "endpoint": "other", "kind": "model_quality", "as_of": AS_OF.isoformat()})
        await send("alarm", {"id": "a", "endpoint": world.endpoint, "kind": "tired", "as_of": "yesterday"})
        await send("alarm", "x" * 100_000)
        await send("make_coffee", {"sugar": True})
        await loop.alarm()
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.PROMOTED
    reasons = [q.reason for q in status.state.quarantine]
    assert len(reasons) == 8
    assert "found 0 arguments" in reasons[0]
    assert "found 2 arguments" in reasons[2]
    assert "as_of: Field required" in reasons[3]
    assert "names endpoint 'other'" in reasons[4]
    assert "kind: Input should be" in reasons[5]
    assert "there is alarm, cleared, approve, reject, pause, resume" in reasons[7]
    assert status.state.counts["quarantined"] == 8


async def test_an_alarm_that_its_end_has_overtaken_opens_nothing_and_the_next_one_does(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World()
    world.champion(quality=0.6)
    firing = {"detector": "arn:drift", "changed_at": AS_OF}
    async with running_loop(temporal_env, world, task_queue) as loop:
        end = Cleared(id="elsewhere", endpoint=world.endpoint, detector="arn:drift", changed_at=AS_OF + timedelta(minutes=5))
        await loop.lifecycle.signal("cleared", end)
        await loop.lifecycle.signal("cleared", end.model_copy(update={"changed_at": AS_OF - timedelta(days=1)}))
        await loop.alarm(an_alarm(1, **firing), an_alarm(2, detector="arn:other", changed_at=AS_OF - timedelta(days=9)))
        status = await loop.closed()
        assert [(r.id, r.fate.value) for r in status.state.recent] == [("alarm-1", "cleared"), ("alarm-2", "opened")]
        assert status.state.recent[0].reason == "its detector had taken it back before it arrived"
        await loop.alarm(an_alarm(3, **{**firing, "changed_at": AS_OF + timedelta(minutes=6)}))

        async def judged() -> bool:
            return (await loop.status()).state.counts.get("absorbed", 0) == 1

        await until(judged, "the firing after the end: judged, and here absorbed by the cool-down")


async def test_the_end_of_a_detectors_word_takes_back_all_that_it_had_said(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World()
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.lifecycle.signal("pause", {"by": "ada", "reason": "migration"})
        said = [an_alarm(n, detector="arn:drift", changed_at=AS_OF + timedelta(minutes=n)) for n in range(3)]
        await loop.alarm(*said)
        end = Cleared(id="x", endpoint=world.endpoint, detector="arn:drift", changed_at=AS_OF + timedelta(minutes=1))
        await loop.lifecycle.signal("cleared", end)

        async def taken_back() -> bool:
            return (await loop.status()).state.counts.get("cleared", 0) == 2

        await until(taken_back, "two alarms taken back")
        assert [a.id for a in (await loop.status()).state.pending] == ["alarm-2"]


async def test_a_paused_endpoint_keeps_its_alarms(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.lifecycle.signal("pause", {"by": "ada", "reason": "migration"})
        await loop.alarm()

        async def kept() -> bool:
            return len((await loop.status()).state.pending) == 1

        await until(kept, "the kept alarm")
        status = await loop.status()
        assert status.stage == "paused"
        assert status.state.paused is not None
        assert status.state.paused.reason == "migration"
        await loop.lifecycle.signal("resume", {"by": "ada"})
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.PROMOTED


async def test_alarms_sent_while_no_worker_runs_and_before_any_policy_are_kept(client: Client, task_queue: str) -> None:
    from tests.fakes import fake_platform

    world = World()
    world.champion(quality=0.6)
    lifecycle = await start_lifecycle(client, task_queue, world.endpoint)
    await lifecycle.signal("alarm", an_alarm(endpoint=world.endpoint))
    async with workers(client, fake_platform(world), task_queue):
        from contracts.incident import LifecycleStatus

        async def waiting() -> bool:
            status: LifecycleStatus = await lifecycle.query("status", result_type=LifecycleStatus)
            return status.stage == "unconfigured" and len(status.state.pending) == 1

        await until(waiting, "the kept alarm")
        await lifecycle.execute_update("configure", a_policy())

        async def done() -> bool:
            status: LifecycleStatus = await lifecycle.query("status", result_type=LifecycleStatus)
            return len(status.state.history) == 1

        await until(done, "a closed incident")
        await lifecycle.terminate()


async def test_an_alarm_older_than_memory_does_not_open_its_incident_twice(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    world = World()
    world.champion(quality=0.6)
    policy = a_policy(intake={"cool_down": "0s"})
    async with running_loop(temporal_env, world, task_queue, policy) as loop:
        await loop.alarm()
        await loop.closed()
        forgotten = (await loop.status()).state.model_copy(update={"seen": (), "history": ()})
        await loop.lifecycle.terminate("starts again with a short memory")
        await start_lifecycle(loop.client, task_queue, world.endpoint, forgotten)
        await loop.alarm()

        async def recognised() -> bool:
            return (await loop.status()).state.counts.get("duplicate", 0) == 1

        await until(recognised, "the duplicate")
        status = await loop.status()
    assert status.stage == "idle"
    assert "opened by this alarm before" in status.state.recent[-1].reason
    assert world.events() == ["decided", "closed"]


async def test_many_large_alarms_poison_nothing(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    world.champion(quality=0.6)
    large = {f"label-{n}": "x" * 1000 for n in range(50)}
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.lifecycle.signal("pause", {"by": "ada"})
        await loop.alarm(*(an_alarm(n, labels=large) for n in range(60)))

        async def all_wait() -> bool:
            return len((await loop.status()).state.pending) == 60

        await until(all_wait, "60 waiting alarms")
        await loop.lifecycle.signal("resume", {"by": "ada"})
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.PROMOTED
    assert (status.state.counts["opened"], status.state.counts["joined"]) == (1, 59)


async def test_an_alarm_about_the_future_is_quarantined(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop:
        await loop.alarm(an_alarm(1, as_of=AS_OF.replace(year=2199)), an_alarm(2))
        status = await loop.closed()
    assert status.state.history[0].outcome is Outcome.PROMOTED
    assert "lies in the future" in status.state.quarantine[0].reason


async def test_a_pause_during_the_debounce_holds_the_alarms(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    world = World()
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue, a_policy(intake={"debounce": "1h"})) as loop:
        await loop.alarm()

        async def debouncing() -> bool:
            return (await loop.status()).stage == "debounce"

        await until(debouncing, "the debounce")
        await loop.lifecycle.signal("pause", {"by": "ada", "reason": "migration"})
        await temporal_env.fast_forward(loop.lifecycle, timedelta(hours=2))
        status = await loop.status()
    assert status.stage == "paused"
    assert len(status.state.pending) == 1
    assert status.state.history == ()
