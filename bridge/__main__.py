"""`python -m bridge`: serve until SIGTERM or Ctrl-C, then finish what was begun."""

import argparse
import asyncio

import structlog

from bridge.app import build_app
from bridge.forward import Forwarder
from runtime.client import connect
from runtime.entry import enter
from runtime.http_server import listen, server
from runtime.leaving import leave
from runtime.settings import Settings
from runtime.telemetry import Telemetry, tracing

log = structlog.get_logger(__name__)


async def serve(settings: Settings, telemetry: Telemetry) -> None:
    with listen(settings.bridge_host, settings.bridge_port, who="the bridge", setting="HOMEOSTAT_BRIDGE") as taken:
        client = await connect(settings, telemetry=telemetry, lazy=True)
        host, port = taken.getsockname()[:2]
        log.info("bridge_serving", url=f"http://{host}:{port}", token="required" if settings.bridge_token else "none")
        await server(build_app(settings, Forwarder(client))).serve(sockets=[taken])
        log.info("bridge_stopped")


def run(settings: Settings) -> int:
    with tracing(settings, service="bridge") as telemetry:
        asyncio.run(serve(settings, telemetry))
    return 0


def main() -> int:
    explained = "Settings come from the environment: HOMEOSTAT_BRIDGE_HOST, HOMEOSTAT_BRIDGE_PORT, HOMEOSTAT_BRIDGE_TOKEN."
    argparse.ArgumentParser(prog="python -m bridge", description="The alarm bridge: POST /alarms.", epilog=explained).parse_args()
    return enter(run)


if __name__ == "__main__":
    leave(main())
