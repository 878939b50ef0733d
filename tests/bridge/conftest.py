"""An endpoint that listens on the real server, and the bridge in front of it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from bridge.app import Bridge, build_app
from bridge.forward import Forwarder
from bridge.taking import Taking
from contracts.ids import lifecycle_id
from runtime.sandbox import RUNNER
from runtime.settings import Settings
from tests.bridge.listening_story import Listening


class Endpoint:
    """A listening lifecycle under a name of its own."""

    def __init__(self, name: str, handle: WorkflowHandle[Any, Any]) -> None:
        self.name = name
        self.handle = handle

    async def heard(self) -> list[Any]:
        """The alarms, once there are as many as were waited for."""
        signals = await self.handle.result()
        assert {name for name, _ in signals} == {"alarm"}
        return [alarm for _, alarm in signals]


@pytest_asyncio.fixture(loop_scope="session")
async def listening(client: Client, task_queue: str) -> AsyncIterator[Callable[[int], Any]]:
    """Starts an endpoint that ends after so many alarms."""

    async def start(wanted: int) -> Endpoint:
        name = f"bikes-{uuid4().hex[:8]}"
        return Endpoint(name, await client.start_workflow(Listening.run, wanted, id=lifecycle_id(name), task_queue=task_queue))

    async with Worker(client, task_queue=task_queue, workflows=[Listening], workflow_runner=RUNNER):
        yield start


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest_asyncio.fixture(loop_scope="session")
async def http(client: Client, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The bridge's own HTTP face, without a socket."""
    transport = httpx.ASGITransport(build_app(settings, Bridge(Taking(Forwarder(client)))))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as made:
        yield made
