"""`python -m bridge`: take alarms until SIGTERM or Ctrl-C, then finish what was begun. `python -m bridge redrive` mends."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence

import structlog

from bridge.app import Bridge, build_app
from bridge.forward import Forwarder
from bridge.redrive import redrive
from bridge.rejected import RejectedLog
from bridge.routing import FleetRoutes
from bridge.sqs import Consumers, Limits
from bridge.taking import Taking
from platforms.errors import PlatformError
from platforms.letters import AlarmIntake
from runtime.client import connect
from runtime.entry import enter
from runtime.errors import Misconfigured, StartError
from runtime.http_server import listen, server
from runtime.leaving import leave
from runtime.settings import Settings
from runtime.telemetry import Telemetry, tracing
from runtime.wiring import alarm_intake_from

SOURCES = ("http", "sqs")
_SHOWN = 200

log = structlog.get_logger(__name__)


async def serve(settings: Settings, sources: Sequence[str], telemetry: Telemetry) -> None:
    intake = alarm_intake_from(settings) if "sqs" in sources else None
    with listen(settings.bridge_host, settings.bridge_port, who="the bridge", setting="HOMEOSTAT_BRIDGE") as taken:
        client = await connect(settings, telemetry=telemetry, lazy=True)
        routes = FleetRoutes(settings.fleet, intake.endpoint_prefix if intake else "")
        taking = Taking(Forwarder(client), routes=routes.now, reports=intake.reports if intake else None)
        consumers = _consumers(settings, intake, taking) if intake else None
        bridge = Bridge(taking, consumers, takes_posts="http" in sources)
        host, port = taken.getsockname()[:2]
        token = "required" if settings.bridge_token else "none"
        log.info("bridge_serving", url=f"http://{host}:{port}", token=token, sources=list(sources))
        async with _consuming(consumers):
            await server(build_app(settings, bridge)).serve(sockets=[taken])
        log.info("bridge_stopped")


def _consumers(settings: Settings, intake: AlarmIntake, taking: Taking) -> Consumers:
    limits = Limits(
        consumers=settings.sqs_consumers,
        hold_seconds=settings.sqs_hold_seconds,
        wait_seconds=settings.sqs_wait_seconds,
        most_receives=settings.sqs_most_receives,
    )
    return Consumers(intake, taking, RejectedLog(settings.home), limits)


@contextlib.asynccontextmanager
async def _consuming(consumers: Consumers | None) -> AsyncIterator[None]:
    """Consumers run beside the page, and finish before the process ends."""
    if consumers is None:
        yield
        return
    stop = asyncio.Event()
    running = asyncio.create_task(consumers.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


def _redrive(settings: Settings, *, match: str, dry_run: bool) -> int:
    intake = alarm_intake_from(settings)
    if intake.rejected is None:
        raise Misconfigured("no dead-letter queue is configured: set HOMEOSTAT_SQS_DEAD_LETTER_URL")
    count = 0
    try:
        for one in redrive(intake.rejected, intake.queue, match=match, dry_run=dry_run):
            count += 1
            word = "moved" if one.moved else "would move"
            sys.stdout.write(ascii(f"{word} {one.letter.id}: {one.reason[:_SHOWN]}: {one.letter.body[:_SHOWN]}")[1:-1] + "\n")
    except PlatformError as error:
        raise StartError(f"{error}. {count} messages were moved before") from None
    sys.stdout.write(f"{count} messages {'would go' if dry_run else 'went'} back to the queue\n")
    return 0


def parser() -> argparse.ArgumentParser:
    explained = (
        "Settings come from the environment: HOMEOSTAT_BRIDGE_HOST, _PORT, _TOKEN, HOMEOSTAT_SQS_QUEUE_URL, HOMEOSTAT_FLEET ..."
    )
    made = argparse.ArgumentParser(prog="python -m bridge", description="The alarm bridge.", epilog=explained)
    made.add_argument("--source", default="http", help="where alarms come from: http, sqs, or http,sqs (default: http)")
    verbs = made.add_subparsers(dest="verb", metavar="redrive")
    back = verbs.add_parser("redrive", help="bring back what lies in the dead-letter queue")
    back.add_argument("--dry-run", action="store_true", help="only say what would go back")
    back.add_argument("--match", default="", metavar="TEXT", help="only messages whose reason or body holds this text")
    return made


def _sources(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if unknown := [name for name in found if name not in SOURCES]:
        raise Misconfigured(f"--source: {unknown[0][:40]!r} is unknown; allowed: {', '.join(SOURCES)}, joined by commas")
    return found


def main() -> int:
    given = parser().parse_args()

    def run(settings: Settings) -> int:
        if given.verb == "redrive":
            return _redrive(settings, match=given.match, dry_run=given.dry_run)
        sources = _sources(given.source)
        with tracing(settings, service="bridge") as telemetry:
            asyncio.run(serve(settings, sources, telemetry))
        return 0

    return enter(run)


if __name__ == "__main__":
    leave(main())
