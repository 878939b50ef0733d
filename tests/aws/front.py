"""What stands before moto: faults, the log, the operations that overlays answer, and a loud no to everything else."""

import io
import json
import re
import socket
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, NoReturn

from moto.core.exceptions import ServiceException

from tests.aws.calls import Call, Logged, Refusal, answer, read_call
from tests.aws.constraints import hold
from tests.aws.faults import CUT, refusal
from tests.aws.world import INTERNAL, World

Environ = dict[str, Any]
Start = Callable[..., Any]
_STATUS = re.compile(r"^(\d{3})")
_XML_CODE = re.compile(rb"<Code>([^<]+)</Code>")


class Front:
    """A WSGI application."""

    def __init__(self, world: World, moto: Callable[[Environ, Start], Iterable[bytes]]) -> None:
        self._world = world
        self._moto = moto

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/_sim/"):
            return self._control(environ, start)
        call = read_call(environ)
        if call is None:
            return self._moto(environ, start)
        if environ.get(f"HTTP_{INTERNAL.upper().replace('-', '_')}"):
            _, status, headers, body = self._do(call, environ)
        else:
            status, headers, body = self._struck_or_done(call, environ)
        start(f"{status} {'OK' if status < 400 else 'Error'}", headers)
        return [body] if environ["REQUEST_METHOD"] != "HEAD" else []

    def _struck_or_done(self, call: Call, environ: Environ) -> tuple[int, list[tuple[str, str]], bytes]:
        kind = self._world.faults.struck(*call.key)
        if kind == "timeout_before":
            self._log(call, kind)
            _cut(environ)
        if kind is not None and kind not in CUT:
            self._log(call, kind)
            status, found, body = _answered(call, refusal(call, kind))
            return status, found, body
        outcome, status, headers, body = self._do(call, environ)
        self._log(call, f"{outcome} {kind}" if kind else outcome)
        if kind == "timeout_after":
            _cut(environ)
        return status, headers, body

    def _do(self, call: Call, environ: Environ) -> tuple[str, int, list[tuple[str, str]], bytes]:
        ours = self._world.operations.get(call.key)
        if ours is not None:
            try:
                hold(call)
                result: Any = ours(call)
            except ServiceException as refused:
                return (refused.code, *_answered(call, refused))
            except Exception as error:  # noqa: BLE001 - the simulator's own mistake must be seen by whoever called
                traceback.print_exc()
                return _loud(call, Refusal("SimulatorError", f"{call.operation}: {type(error).__name__}: {error}", 500))
            return ("ok", *_answered(call, result or {}))
        if call.service not in self._world.passed:
            return _loud(call, Refusal("NotSimulated", f"{call.service} {call.operation} is not simulated", 501))
        return self._pass_on(call, environ)

    def _pass_on(self, call: Call, environ: Environ) -> tuple[str, int, list[tuple[str, str]], bytes]:
        """Let moto answer; what it lacks, or breaks at, becomes an error that says so."""
        environ = {**environ, "wsgi.input": io.BytesIO(call.body)}
        seen: dict[str, Any] = {}

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
            seen.update(status=int(_STATUS.match(status)[1]), headers=headers)  # type: ignore[index]
            return lambda _: None

        try:
            given = self._moto(environ, start)
            body = b"".join(given)
        except Exception as error:  # noqa: BLE001 - as above
            if "has not been implemented" in str(error):
                return _loud(call, Refusal("NotSimulated", f"moto does not know {call.service} {call.operation}", 501))
            traceback.print_exc()
            return _loud(call, Refusal("SimulatorError", f"moto broke at {call.operation}: {error}", 500))
        close = getattr(given, "close", None)
        if close:
            close()
        outcome = "ok" if seen["status"] < 400 else _code(seen["headers"], body)
        return outcome, seen["status"], seen["headers"], body

    def _log(self, call: Call, outcome: str) -> None:
        self._world.calls.append(Logged(self._world.now(), call.service, call.operation, _small(call.params), outcome))

    def _control(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """`/_sim/...`: how a test arms faults, reads the log and moves the clock."""
        size = int(environ.get("CONTENT_LENGTH") or 0)
        given = json.loads(environ["wsgi.input"].read(size) or b"{}")
        world, path = self._world, environ["PATH_INFO"].removeprefix("/_sim/")
        found: Any = {}
        if path == "calls":
            found = [asdict(each) for each in list(world.calls)]
        elif path == "faults":
            world.faults.arm(given)
        elif path == "reset":
            world.faults.clear()
            world.calls.clear()
        elif path == "clock":
            world.advance(float(given.get("advance", 0)))
            found = {"now": world.now().isoformat(), "speed": world.speed}
        else:
            start("404 Not Found", [("content-type", "application/json")])
            return [b"{}"]
        start("200 OK", [("content-type", "application/json")])
        return [json.dumps(found, default=str).encode()]


def _cut(environ: Environ) -> NoReturn:
    """Close the connection, so that the caller never hears."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("cut by a fault")


def _answered(call: Call, result: Any) -> tuple[int, list[tuple[str, str]], bytes]:
    status, headers, body = answer(call, result)
    return status, [*headers.items(), ("content-length", str(len(body)))], body


def _loud(call: Call, refused: Refusal) -> tuple[str, int, list[tuple[str, str]], bytes]:
    return (refused.code, *_answered(call, refused))


def _code(headers: list[tuple[str, str]], body: bytes) -> str:
    found = _XML_CODE.search(body)
    if found:
        return found[1].decode()
    try:
        return str(json.loads(body).get("__type", "error")).split("#")[-1]
    except (ValueError, AttributeError):
        return dict(headers).get("x-amzn-errortype", "error")


def _small(params: dict[str, Any]) -> dict[str, Any]:
    """Without the bodies of objects and messages."""
    return {name: value for name, value in params.items() if not isinstance(value, bytes) and len(str(value)) < 4000}
