"""The real Temporal server for tests, with per-workflow clocks that a test can turn."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from runtime import search_attributes
from runtime.client import DATA_CONVERTER
from runtime.temporal_server import binary

SERVER_FLAGS = (
    "frontend.WorkflowTimeSkippingEnabled=true",
    'history.timerProcessorMaxTimeShift="20ms"',
    "system.forceSearchAttributesCacheRefreshOnRead=true",
    "matching.enableFairness=true",
)
"""Without the first no workflow starts here; without the second each timer lasts a second."""


@asynccontextmanager
async def embedded_server(*more_flags: str) -> AsyncIterator[WorkflowEnvironment]:
    """In memory, with our search attributes; `more_flags` are dynamic configuration, such as 'name=value'."""
    flags = [word for flag in (*SERVER_FLAGS, *more_flags) for word in ("--dynamic-config-value", flag)]
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=str(binary()),
        data_converter=DATA_CONVERTER,
        dev_server_extra_args=flags,
    ) as env:
        await search_attributes.ensure(env.client)
        yield env


def hasty_server() -> AbstractAsyncContextManager[WorkflowEnvironment]:
    """A server that suggests to continue as new after 25 events."""
    return embedded_server("limit.historyCount.suggestContinueAsNew=25")
