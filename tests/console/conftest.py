"""The command line as an operator types it, against the real server; workers and worlds are the stories'."""

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from console.main import main
from runtime import search_attributes
from runtime.client import DATA_CONVERTER
from tests.stories import until

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    """How a verb ended and what it printed."""

    exit: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        assert self.out.count("\n") == 1, f"not one object on one line: {self.out!r} {self.err!r}"
        found: dict[str, Any] = json.loads(self.out)
        return found


Run = Callable[..., Awaitable[Ran]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "home"
    monkeypatch.setenv("HOMEOSTAT_HOME", str(place))
    return place


@pytest.fixture
def run(temporal_env: WorkflowEnvironment, home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a verb in this process, against the test's server."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", address(temporal_env))
    return run_here


async def run_here(*words: str) -> Ran:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = await asyncio.to_thread(main, words)
    return Ran(code, out.getvalue(), err.getvalue())


async def run_starter(*words: str, **environment: str) -> Ran:
    """Run `starter.py` as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "starter.py"),
        *words,
        env={**os.environ, **environment},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


def address(env: WorkflowEnvironment) -> str:
    return env.client.service_client.config.target_host


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def own_fleet(temporal_env: WorkflowEnvironment) -> AsyncIterator[Client]:
    """A namespace of its own, so that only these tests' endpoints are in the fleet."""
    name = f"console-{uuid4().hex[:8]}"
    kept = Duration()
    kept.FromTimedelta(timedelta(days=1))
    await temporal_env.client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=kept)
    )
    client = await Client.connect(address(temporal_env), namespace=name, data_converter=DATA_CONVERTER)
    await until(partial(_known, client), "the new namespace", seconds=60)
    yield client


async def _known(client: Client) -> bool:
    """A new namespace is known everywhere in the server after some moments."""
    try:
        await search_attributes.ensure(client)
        await client.count_workflows("Stage = 'idle'")
    except RPCError:
        return False
    return True


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(own_fleet: Client, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """That namespace for one test, with nothing running in it before and after."""
    monkeypatch.setenv("TEMPORAL_NAMESPACE", own_fleet.namespace)
    yield own_fleet
    async for left in own_fleet.list_workflows("ExecutionStatus = 'Running'"):
        await own_fleet.get_workflow_handle(left.id).terminate("the test is over")

    async def empty() -> bool:
        return (await own_fleet.count_workflows("ExecutionStatus = 'Running'")).count == 0

    await until(empty, "an empty fleet")
