"""One real Temporal server for the whole test session, and a world that nothing leaks into."""

import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from temporalio.client import Client
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from runtime import search_attributes
from runtime.client import DATA_CONVERTER
from runtime.temporal_server import binary

hypothesis_settings.register_profile(
    "homeostat", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("homeostat")

SERVER_FLAGS = (
    "frontend.WorkflowTimeSkippingEnabled=true",
    'history.timerProcessorMaxTimeShift="20ms"',
    "system.forceSearchAttributesCacheRefreshOnRead=true",
    "matching.enableFairness=true",
)
"""Without the first no workflow starts here; without the second each timer lasts a second."""

_FOREIGN = ("HOMEOSTAT_", "TEMPORAL_", "OTEL_")
_connect = socket.socket.connect


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's variables decide nothing here."""
    for name in [n for n in os.environ if n.startswith(_FOREIGN)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", os.devnull)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """What an entry point under test does to logging ends with the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """No test reaches the world outside."""

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            raise AssertionError(f"a test tried to connect to {address!r}; tests talk to loopback only")
        _connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal_env() -> AsyncIterator[WorkflowEnvironment]:
    """The embedded server in memory. Clocks run normally until a test says `await temporal_env.fast_forward(handle, duration)`."""
    flags = [word for flag in SERVER_FLAGS for word in ("--dynamic-config-value", flag)]
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=str(binary()),
        data_converter=DATA_CONVERTER,
        dev_server_extra_args=flags,
    ) as env:
        await search_attributes.ensure(env.client)
        yield env


@pytest.fixture
def client(temporal_env: WorkflowEnvironment) -> Client:
    return temporal_env.client


@pytest.fixture
def task_queue() -> str:
    """A queue of its own for each test, so that no worker hears another test's work."""
    return f"test-{uuid4().hex}"
