"""`python -m bridge`: serve until SIGTERM or Ctrl-C, then finish what was begun."""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator

import structlog
import uvicorn

from bridge.app import build_app
from bridge.forward import Forwarder
from runtime.client import connect
from runtime.entry import enter
from runtime.errors import PortTaken
from runtime.leaving import leave
from runtime.settings import Settings
from runtime.telemetry import Telemetry, tracing

log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """Leaves signals to us; uvicorn would raise them again at the end, and a clean stop would look like a death."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.handle_exit, name, None)
        yield


def listen(host: str, port: int) -> socket.socket:
    """Take the port.

    Raises:
        PortTaken: somebody else has it, or the address isn't ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise PortTaken(
            f"the bridge can't listen on {host}:{port} ({os.strerror(error.errno or 0)}). "
            f"Stop what listens there (`make down`, or `lsof -i :{port}`), or set HOMEOSTAT_BRIDGE_HOST and _PORT."
        ) from error


async def serve(settings: Settings, telemetry: Telemetry) -> None:
    with listen(settings.bridge_host, settings.bridge_port) as taken:
        client = await connect(settings, telemetry=telemetry, lazy=True)
        config = uvicorn.Config(
            build_app(settings, Forwarder(client)),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            limit_concurrency=200,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=15,
        )
        host, port = taken.getsockname()[:2]
        log.info("bridge_serving", url=f"http://{host}:{port}", token="required" if settings.bridge_token else "none")
        await _Server(config).serve(sockets=[taken])
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
