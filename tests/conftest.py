"""One real Temporal server for the whole test session, and a world that nothing leaks into."""

import logging
import os
import signal
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
from temporalio.testing import WorkflowEnvironment

from tests.servers import embedded_server

pytest_plugins = ["tests.economy", "tests.aws.fixtures"]

hypothesis_settings.register_profile(
    "homeostat", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("homeostat")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job ignores it, and its children would, too
    signal.signal(signal.SIGINT, signal.default_int_handler)

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
    async with embedded_server() as env:
        yield env


@pytest.fixture
def client(temporal_env: WorkflowEnvironment) -> Client:
    return temporal_env.client


@pytest.fixture
def task_queue() -> str:
    """A queue of its own for each test, so that no worker hears another test's work."""
    return f"test-{uuid4().hex}"
