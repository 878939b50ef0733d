"""A bridge of its own for the monitor's tests: real HTTP, nothing behind it."""

import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from contracts.alarm import Alarm


class Bridge(ThreadingHTTPServer):
    """Takes alarms as the bridge does, and answers with the status it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 202
        self._posted = threading.Event()
        self._go_on = threading.Event()
        self._go_on.set()
        self.alarms: list[Alarm] = []
        self.tokens: list[str | None] = []

    def hold(self) -> threading.Event:
        """From now on leave every alarm without its answer; returns what tells that one has come."""
        self._go_on.clear()
        return self._posted

    def release(self) -> None:
        self._go_on.set()

    @staticmethod
    def gone(connection: socket.socket) -> bool:
        """Whether the caller died while it waited."""
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and not connection.recv(1, socket.MSG_PEEK)

    def taken(self) -> None:
        """An alarm is in; its answer may have to wait."""
        self._posted.set()
        self._go_on.wait(60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Bridge

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/alarms"
        self.server.tokens.append(self.headers["authorization"])
        if self.server.status == 202:
            self.server.alarms.append(Alarm.model_validate_json(body))
        self.server.taken()
        if self.server.gone(self.connection):
            return
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing on the console."""
