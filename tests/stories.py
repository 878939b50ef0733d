"""Builders and handles for the workflow stories: a loop that runs for real on the embedded server, on a world in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from contracts.alarm import Alarm
from contracts.fleet import EndpointPolicy
from contracts.ids import lifecycle_id
from contracts.incident import LifecycleState, LifecycleStatus, RemediationStatus, Stage
from platforms.ports import Platform
from runtime.settings import Settings
from runtime.workers import build_worker
from tests.fakes import AS_OF, World, fake_platform
from workflows.endpoint_lifecycle import EndpointLifecycle
from workflows.remediation import Remediation


def a_policy(**changes: Any) -> EndpointPolicy:
    """A policy with short timers; `changes` are merged room by room, e.g. rollout={'watch': '3d'}."""
    policy: dict[str, Any] = {
        "team": "mobility",
        "cost_center": "cc-7",
        "data": {"table": "bikes", "features": ["truth", "noise"], "label": "busy", "label_delay": "1h"},
        "rollout": {"bake": "0s", "watch": "7d", "watch_check": "1s", "watch_limit": "21d"},
        "review": {"timeout": "24h", "remind_after": "8h", "unverified": "accept"},
    }
    for room, values in changes.items():
        policy[room] = {**policy.get(room, {}), **values} if isinstance(values, dict) else values
    return EndpointPolicy.model_validate(policy)


def an_alarm(n: int = 1, as_of: datetime = AS_OF, **changes: Any) -> Alarm:
    return Alarm.model_validate(
        {"id": f"alarm-{n}", "endpoint": "bikes", "kind": "model_quality", "as_of": as_of, "source": "test", **changes}
    )


@dataclass
class Loop:
    """One endpoint's running loop."""

    env: WorkflowEnvironment
    client: Client
    world: World
    lifecycle: WorkflowHandle[Any, Any]
    queue: str

    async def alarm(self, *alarms: Alarm) -> None:
        for alarm in alarms or (an_alarm(),):
            await self.lifecycle.signal("alarm", alarm.model_copy(update={"endpoint": self.world.endpoint}))

    async def status(self) -> LifecycleStatus:
        return await self.lifecycle.query(EndpointLifecycle.status)

    async def closed(self, incidents: int = 1) -> LifecycleStatus:
        """Wait until so many incidents have closed."""

        async def enough() -> bool:
            return len((await self.status()).state.history) >= incidents

        try:
            await until(enough, f"{incidents} closed incidents")
        except AssertionError as error:
            raise AssertionError(f"{error}; {await self._stuck()}") from None
        return await self.status()

    async def _stuck(self) -> str:
        """Where an incident that doesn't close stands, and the newest failure that its history tells."""
        now_open = (await self.status()).state.open
        if now_open is None:
            return "no incident is open"
        handle = self.client.get_workflow_handle(now_open.workflow_id)
        described = await handle.describe()
        failures = [p.last_failure.message for p in described.raw_description.pending_activities if p.HasField("last_failure")]
        try:
            status = await self.incident_status(handle)
        except RPCError as error:
            return f"the remediation does not answer: {error}"
        return f"stage {status.stage.value}: {status.sentence} {failures}"

    async def remediation(self) -> WorkflowHandle[Any, Any]:
        async def opened() -> bool:
            return (await self.status()).state.open is not None

        await until(opened, "an open incident")
        now_open = (await self.status()).state.open
        assert now_open is not None
        return self.client.get_workflow_handle(now_open.workflow_id)

    async def in_stage(self, stage: Stage) -> WorkflowHandle[Any, Any]:
        """The open remediation, once it has come to `stage`."""
        handle = await self.remediation()

        async def there() -> bool:
            try:
                return (await self.incident_status(handle)).stage is stage
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                return False  # the lifecycle says so before the server has begun it

        await until(there, f"stage {stage.value}")
        return handle

    async def incident_status(self, handle: WorkflowHandle[Any, Any]) -> RemediationStatus:
        return await handle.query(Remediation.status)


async def until(holds: Callable[[], Awaitable[bool]], what: str, seconds: float = 45) -> None:
    """Wait for what a workflow does on its own; nothing here depends on how fast."""
    try:
        async with asyncio.timeout(seconds):
            while not await holds():  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.03)
    except TimeoutError:
        raise AssertionError(f"waited {seconds} s for {what}") from None


@asynccontextmanager
async def workers(client: Client, platform: Platform, queue: str, *, training: bool = True) -> AsyncIterator[None]:
    """The workers of production, on queues of their own."""
    settings = Settings(training_slots=4, main_slots=8)
    with ThreadPoolExecutor(8) as threads:
        async with AsyncExitStack() as stack:
            for name in ("main", "training") if training else ("main",):
                worker = build_worker(client, platform, settings, name, task_queue=queue, threads=threads)
                await stack.enter_async_context(worker)
            yield


async def start_lifecycle(
    client: Client, queue: str, endpoint: str, state: LifecycleState | None = None
) -> WorkflowHandle[Any, Any]:
    return await client.start_workflow(
        EndpointLifecycle.run,
        state or LifecycleState(endpoint=endpoint),
        id=lifecycle_id(endpoint),
        task_queue=queue,
    )


@asynccontextmanager
async def running_loop(
    env: WorkflowEnvironment, world: World, queue: str, policy: EndpointPolicy | None = None, platform: Platform | None = None
) -> AsyncIterator[Loop]:
    async with workers(env.client, platform or fake_platform(world), queue):
        await start_lifecycle(env.client, queue, world.endpoint)
        lifecycle = env.client.get_workflow_handle(lifecycle_id(world.endpoint))  # of whichever run is the newest
        await lifecycle.execute_update("configure", policy or a_policy())
        yield Loop(env, env.client, world, lifecycle, queue)
        await lifecycle.terminate("the story is told")


WATCHED = timedelta(days=22)
