"""One way to listen and to serve over HTTP: until SIGTERM or Ctrl-C, then what was begun is finished."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette

from runtime.errors import PortTaken


class _Server(uvicorn.Server):
    """Leaves signals to us; uvicorn would raise them again at the end, and a clean stop would look like a death."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.handle_exit, name, None)
        yield


def listen(host: str, port: int, *, who: str, setting: str) -> socket.socket:
    """Take the port.

    Raises:
        PortTaken: somebody else has it, or the address isn't ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        taken = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise PortTaken(
            f"{who} can't listen on {host}:{port} ({os.strerror(error.errno or 0)}). "
            f"Stop what listens there (`make down`, or `lsof -i :{port}`), or set {setting}_HOST and _PORT."
        ) from error
    taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by each connection; without it answers wait 40 ms
    return taken


def server(app: Starlette, *, connections: int = 200) -> uvicorn.Server:
    return _Server(config(app, connections=connections))


def config(app: Starlette, *, connections: int = 200, grace_seconds: int = 15) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        limit_concurrency=connections,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=grace_seconds,
    )


def own_hosts(host: str, url: str) -> list[str]:
    """On loopback only our own names, so that no web page can reach us under a name of its own (DNS rebinding)."""
    if not is_loopback(host):
        return ["*"]
    own = urlsplit(url).hostname
    return ["127.0.0.1", "localhost", host, *([own] if own else [])]


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
