"""Hands an alarm to its endpoint's lifecycle. It counts as taken only once Temporal has it."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog
from opentelemetry import trace
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from contracts.alarm import Alarm, Cleared
from contracts.ids import lifecycle_id
from workflows.tracing import current_traceparent, within

SIGNAL: Final = "alarm"
CLEARED: Final = "cleared"
TIMEOUT_SECONDS: Final = 5.0
_LATEST_HEALTH: Final = timedelta(seconds=2)

log = structlog.get_logger(__name__)


class UnknownEndpoint(Exception):
    """No lifecycle runs for this endpoint."""


class TemporalDown(Exception):
    """Temporal did not take the alarm; the sender has to try again."""


class Forwarder:
    """Sends alarms through one client, which reconnects by itself."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._tracer = trace.get_tracer("homeostat.bridge")

    async def send(self, alarm: Alarm, traceparent: str | None = None) -> None:
        """Signal the lifecycle inside a span that carries on the sender's trace; the span's traceparent goes along.

        Raises:
            UnknownEndpoint: no such lifecycle; apply the endpoint in the fleet file.
            TemporalDown: anything else that kept Temporal from taking it.
        """
        attributes = {"endpoint": alarm.endpoint, "alarm.id": alarm.id, "alarm.kind": alarm.kind.value}
        with within(alarm.trace or traceparent), self._tracer.start_as_current_span("alarm", attributes=attributes):
            await self._signal(SIGNAL, alarm.model_copy(update={"trace": current_traceparent()}))
            log.info("alarm_forwarded", endpoint=alarm.endpoint, alarm=alarm.id, kind=alarm.kind.value)

    async def clear(self, cleared: Cleared) -> None:
        """Say that what an alarm told of has ended. Raises as `send` does."""
        await self._signal(CLEARED, cleared)
        log.info("alarm_cleared", endpoint=cleared.endpoint, alarm=cleared.id)

    async def healthy(self) -> bool:
        """Whether Temporal answers now."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._client.service_client.check_health(timeout=_LATEST_HEALTH)
        except (RPCError, RuntimeError, TimeoutError):
            return False

    async def _signal(self, name: str, content: Alarm | Cleared) -> None:
        handle = self._client.get_workflow_handle(lifecycle_id(content.endpoint))
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await handle.signal(name, content, rpc_timeout=timedelta(seconds=TIMEOUT_SECONDS))
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND and not error.message.startswith("Namespace"):
                raise UnknownEndpoint(content.endpoint) from None
            raise TemporalDown(error.message) from error
        except (RuntimeError, TimeoutError) as error:
            raise TemporalDown(str(error) or f"no answer within {TIMEOUT_SECONDS:g} s") from error
