"""Following a training job: adopted after a death, stopped when nobody wants it, left alone when only the worker goes."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.training import TrainingActivities
from contracts.training import Challenger, DatasetRef, Purpose, Recipe, Tags, TrainChallenger
from platforms.errors import Conflict, TrainingFailed, Unavailable
from platforms.pace import Pace
from platforms.wakeups import WAKE_UPS
from tests.fakes import AS_OF, World, digest, fake_platform

SECONDS = 20


def a_job(key: str = "train/1") -> TrainChallenger:
    return TrainChallenger(
        key=key,
        endpoint="bikes",
        purpose=Purpose.JUDGE,
        dataset=DatasetRef(uri="mem:rows", sha256=digest("rows"), rows=1000),
        features=("truth", "noise"),
        label="busy",
        recipe=Recipe(),
        end=AS_OF,
        tags=Tags(endpoint="bikes", incident="i", team="mobility", cost_center="cc-7"),
        max_runtime=timedelta(minutes=1),
        max_memory_mb=512,
    )


def _activity(world: World) -> TrainingActivities:
    return TrainingActivities(fake_platform(world))


async def _train(world: World, environment: ActivityEnvironment | None = None) -> Challenger:
    async with asyncio.timeout(SECONDS):
        return await (environment or ActivityEnvironment()).run(_activity(world).train_challenger, a_job())


async def _under_way(world: World) -> tuple["asyncio.Task[Challenger]", ActivityEnvironment]:
    """A training that runs and has told of itself."""
    environment, told = ActivityEnvironment(), asyncio.Event()
    environment.on_heartbeat = lambda *details: told.set()
    task = asyncio.ensure_future(_train(world, environment))
    async with asyncio.timeout(SECONDS):
        await told.wait()
    return task, environment


async def test_a_finished_job_is_adopted_and_not_run_again() -> None:
    world = World()
    first = await _train(world)
    assert await _train(world) == first
    assert len(world.jobs) == 1


async def test_news_of_a_job_ends_the_pause_between_two_looks() -> None:
    world = World(training_holds=True)
    activity = TrainingActivities(replace(fake_platform(world), pace=Pace(training_poll=600.0)))
    environment, told = ActivityEnvironment(), asyncio.Event()
    environment.on_heartbeat = lambda *details: told.set()
    task = asyncio.ensure_future(environment.run(activity.train_challenger, a_job()))
    async with asyncio.timeout(SECONDS):
        await told.wait()
        world.training_holds = False
        assert WAKE_UPS.wake(a_job().key)
        await task
    assert not WAKE_UPS.wake(a_job().key), "nobody waits any more"


async def test_a_running_job_is_followed_with_heartbeats_to_its_end() -> None:
    world = World(training_holds=True)
    task, _ = await _under_way(world)
    world.training_holds = False
    assert (await task).model.digest == digest("train/1")


async def test_a_cancel_stops_the_job() -> None:
    world = World(training_holds=True)
    task, environment = await _under_way(world)
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.stopped == {"train/1"}


async def test_a_worker_that_goes_leaves_the_job_running_for_the_next() -> None:
    world = World(training_holds=True)
    task, environment = await _under_way(world)
    environment.worker_shutdown()
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.stopped == set()
    world.training_holds = False
    assert (await _train(world)).model.digest == digest("train/1")
    assert len(world.jobs) == 1


async def test_a_job_stopped_from_outside_is_final() -> None:
    world = World(training_holds=True)
    task, _ = await _under_way(world)
    world.stopped.add("train/1")
    with pytest.raises(ApplicationError, match="was stopped from outside") as seen:
        await task
    assert (seen.value.type, seen.value.non_retryable) == ("TrainingStopped", True)


@pytest.mark.parametrize(
    ("error", "final"),
    [(TrainingFailed("out of memory"), True), (Conflict("another job has this key"), True), (Unavailable("gone"), False)],
)
async def test_what_the_platform_says_reaches_the_workflow_by_name(error: Exception, final: bool) -> None:
    world = World(failures={"train": [error]})
    with pytest.raises(ApplicationError) as seen:
        await _train(world)
    assert (seen.value.type, seen.value.non_retryable) == (type(error).__name__, final)
