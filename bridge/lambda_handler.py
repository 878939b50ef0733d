"""The bridge as a function of AWS Lambda, for those who prefer a push: `bridge.lambda_handler.handler`.

Behind a queue (with ReportBatchItemFailures) it says which messages have to come again; called by EventBridge or SNS it fails
where Lambda should try again. What can't be taken goes to the dead-letter queue with its reason, as from the bridge that polls.
"""

import asyncio
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from bridge.forward import Forwarder, TemporalDown
from bridge.letters import Done, Poison, judge
from bridge.routing import FleetRoutes
from bridge.taking import Taking
from platforms.errors import PlatformError
from platforms.letters import AlarmQueue, Letter
from runtime.client import connect
from runtime.entry import read_settings
from runtime.telemetry import configure_logging
from runtime.wiring import alarm_intake_from

SOURCE: Final = "lambda"
Event = Mapping[str, Any]

log = structlog.get_logger(__name__)


class Again(Exception):
    """Lambda has to call again; the message says why."""


class Function:
    """What one execution environment keeps between calls."""

    def __init__(self, taking: Taking, rejected: AlarmQueue | None, most_receives: int) -> None:
        self._taking = taking
        self._rejected = rejected
        self._most_receives = most_receives

    async def handle(self, event: Event) -> dict[str, Any]:
        """Raises: Again (a pushed event was not taken)."""
        records = event.get("Records")
        if not isinstance(records, list):
            return await self._push([Letter("event", json.dumps(event), "")])
        if records and records[0].get("eventSource") == "aws:sqs":
            return await self._batch([_letter(record) for record in records])
        return await self._push([Letter(one["Sns"]["MessageId"], one["Sns"]["Message"], "") for one in records])

    async def _batch(self, letters: Sequence[Letter]) -> dict[str, Any]:
        """While Temporal is away the rest is not tried."""
        failed: list[str] = []
        away = ""
        for letter in letters:
            try:
                why = away or await self._settle(letter)
            except TemporalDown as error:
                why = away = f"Temporal takes nothing: {error}"
            if why:
                log.warning("message_given_back", message=letter.id, reason=why)
                failed.append(letter.id)
        return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}

    async def _push(self, letters: Sequence[Letter]) -> dict[str, Any]:
        for letter in letters:
            try:
                why = await self._settle(letter)
            except TemporalDown as error:
                raise Again(f"Temporal takes nothing: {error}") from None
            if why:
                raise Again(why)
        return {"taken": len(letters)}

    async def _settle(self, letter: Letter) -> str:
        """Why it has to come again; empty where it is done with. Raises: TemporalDown."""
        verdict = await judge(letter, self._taking, source=SOURCE, most_receives=self._most_receives)
        if isinstance(verdict, Done):
            return ""
        if not isinstance(verdict, Poison) or self._rejected is None:
            return verdict.reason
        reason = {"reason": verdict.reason, "rejected_by": "homeostat function", "receives": str(letter.receives)}
        try:
            await asyncio.to_thread(self._rejected.send, letter.body, {**letter.attributes, **reason})
        except PlatformError as error:
            return f"{verdict.reason}; and the dead-letter queue does not take it: {error}"
        log.warning("message_rejected", message=letter.id, reason=verdict.reason)
        return ""


async def function() -> Function:
    """From the environment, like every other entry point. Raises: StartError."""
    settings = read_settings()
    configure_logging(settings)
    intake = alarm_intake_from(settings)
    routes = FleetRoutes(settings.fleet, intake.endpoint_prefix)
    taking = Taking(Forwarder(await connect(settings, lazy=True)), routes=routes.now, reports=intake.reports)
    return Function(taking, intake.rejected, settings.sqs_most_receives)


class _Kept:
    """The loop and the client of this execution environment: made by the first call, used by all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runner: asyncio.Runner | None = None
        self._function: Function | None = None

    def run(self, event: Event) -> dict[str, Any]:
        with self._lock:
            if self._runner is None:
                self._runner = asyncio.Runner()
            return self._runner.run(self._run(event))

    async def _run(self, event: Event) -> dict[str, Any]:
        if self._function is None:
            self._function = await function()
        return await self._function.handle(event)


_KEPT: Final = _Kept()


def handler(event: Event, context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """What Lambda calls. Raises: Again, StartError."""
    return _KEPT.run(event)


def _letter(record: Event) -> Letter:
    """Lambda writes a message's attributes with small letters."""
    named = record.get("messageAttributes", {}).items()
    return Letter(
        id=record["messageId"],
        body=record["body"],
        receipt=record.get("receiptHandle", ""),
        receives=int(record.get("attributes", {}).get("ApproximateReceiveCount", "1")),
        attributes={name: value["stringValue"] for name, value in named if value.get("stringValue")},
    )
