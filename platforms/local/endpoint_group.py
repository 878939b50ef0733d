"""One endpoint under supervision: its listening socket and its instance processes."""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import structlog

from platforms.errors import Corrupt
from platforms.files import read_json
from platforms.local.serving_counts import Count, append_count
from platforms.local.serving_state import Desired, InstanceState, Layout, SupervisorState, read_or_none, stamp, write_volatile

_BACKLOG = 2048
_STABLE_SECONDS = 10.0
"""An instance that lived so long makes the next crash count as the first."""
_LONGEST_PAUSE = 10.0
_PORT_RETRY_SECONDS = 1.0
_CRASH_LOOP = 3
"""From so many crashes on, each soon after its start, the endpoint says what is wrong."""
_DRAIN_SECONDS = 12.0
"""A draining instance that is still there after this is killed."""
_log = structlog.get_logger()


@dataclass
class Child:
    """One instance process."""

    process: subprocess.Popen[bytes]
    listener: socket.socket
    lifeline: int
    """Our end of the pipe whose closing tells the instance that we are gone."""
    started: float = field(default_factory=monotonic)
    drain_until: float | None = None
    digest: str = ""

    @property
    def draining(self) -> bool:
        return self.drain_until is not None


class EndpointGroup:
    """Keeps what runs in step with `desired.json`."""

    def __init__(self, home: Path, endpoint: str, host: str) -> None:
        self.endpoint = endpoint
        self._home = home
        self._host = host
        self._layout = Layout(home, endpoint)
        self._layout.instances.mkdir(parents=True, exist_ok=True)
        self._desired: Desired | None = None
        self._seen: tuple[int, int, int] | None = None
        self._listener: socket.socket | None = None
        self._former: list[socket.socket] = []
        """Sockets of an earlier port, open until their instances have drained."""
        self._children: list[Child] = []
        self._crashes = 0
        self._crash_code = 0
        self._spawn_at = 0.0
        self._bind_at = 0.0
        self._failure: str | None = None
        self._written: SupervisorState | None = None

    @staticmethod
    def forget_instances(path: Path) -> None:
        """Keep the address of an earlier supervisor's state, so that it can be used again, and nothing else."""
        try:
            state = read_json(path, SupervisorState)
        except Corrupt:
            path.unlink()
            return
        write_volatile(path, state.model_copy(update={"instances": (), "draining": (), "failure": "the endpoint is starting"}))

    def reconcile(self) -> None:
        """One look: read what is wanted, replace what died, start or drain. Raises: OSError."""
        self._read_desired()
        self.reap()
        desired = self._desired
        if desired is None:
            self.drain_all()
        elif self._listening(desired):
            self._scale(desired.instances)
        self._publish()

    def reap(self) -> bool:
        """Take note of instances that have ended; says whether any still runs."""
        for child in [c for c in self._children if c.process.poll() is not None]:
            self._children.remove(child)
            os.close(child.lifeline)
            self._note_end(child)
        for child in self._children:
            if child.drain_until is not None and monotonic() > child.drain_until:
                _log.error("instance_did_not_drain", endpoint=self.endpoint, pid=child.process.pid)
                child.process.kill()
        return bool(self._children)

    def drain_all(self) -> None:
        for child in self._children:
            self._drain(child)

    def close(self) -> None:
        """Kill what did not drain, close the socket, and say that nobody serves any more."""
        for child in self._children:
            child.process.kill()
            child.process.wait()
        self.reap()
        for listener in [*self._former, *([self._listener] if self._listener else [])]:
            listener.close()
        self._failure = "the supervisor was stopped"
        self._publish()

    def _read_desired(self) -> None:
        found = stamp(self._layout.desired)
        if found == self._seen:
            return
        self._seen = found
        self._desired = read_or_none(self._layout.desired, Desired)

    def _listening(self, desired: Desired) -> bool:
        """Whether there is a socket at the wanted port; opens one, and tries again later if the port is taken."""
        if self._listener is not None and desired.port in (0, self._listener.getsockname()[1]):
            return True
        if monotonic() < self._bind_at:
            return self._listener is not None
        try:
            opened = self._open(desired.port)
        except OSError as error:
            self._bind_at = monotonic() + _PORT_RETRY_SECONDS
            self._fail(
                f"port {desired.port} at {self._host} can't be opened: {error.strerror}. "
                f"Free the port, or set another serving.port (0 lets the system choose) for endpoint {self.endpoint}"
            )
            return self._listener is not None
        if self._listener is not None:
            self._former.append(self._listener)
        self._listener, self._failure, self._spawn_at = opened, None, 0.0
        _log.info("endpoint_listening", endpoint=self.endpoint, url=self._url())
        return True

    def _open(self, port: int) -> socket.socket:
        """With port 0, the port that the endpoint had before if it is free, so that its address lasts."""
        former = read_or_none(self._layout.state, SupervisorState)
        if port == 0 and former is not None and former.url:
            try:
                return _listen(self._host, int(former.url.rsplit(":", 1)[1]))
            except OSError:
                _log.info("former_port_taken", endpoint=self.endpoint, url=former.url)
        return _listen(self._host, port)

    def _fail(self, reason: str) -> None:
        if reason != self._failure:
            _log.error("endpoint_unreachable", endpoint=self.endpoint, reason=reason)
        self._failure = reason

    def _scale(self, wanted: int) -> None:
        """Start what is missing on the present socket; drain what is too many, and what hangs on a former socket."""
        serving = [c for c in self._children if not c.draining]
        current = [c for c in serving if c.listener is self._listener]
        if len(current) < wanted and monotonic() >= self._spawn_at:
            self._children += [self._spawn() for _ in range(wanted - len(current))]
        for child in current[wanted:]:
            self._drain(child)
        if self._former and any(self._is_ready(child) for child in current):
            self._leave_former_port()

    def _leave_former_port(self) -> None:
        for child in self._children:
            if child.listener is not self._listener:
                self._drain(child)
        for listener in self._former:
            listener.close()
        self._former = []

    def _spawn(self) -> Child:
        assert self._listener is not None
        reading, writing = os.pipe()
        number = self._listener.fileno()
        command = [sys.executable, "-m", "platforms.local.instance", "--home", str(self._home), "--endpoint", self.endpoint]
        command += ["--socket", str(number), "--lifeline", str(reading)]
        process = subprocess.Popen(command, pass_fds=(number, reading), stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - our own module, checked names
        os.close(reading)
        _log.info("instance_started", endpoint=self.endpoint, pid=process.pid)
        return Child(process, self._listener, writing)

    def _drain(self, child: Child) -> None:
        if not child.draining:
            child.drain_until = monotonic() + _DRAIN_SECONDS
            child.process.terminate()
            _log.info("instance_draining", endpoint=self.endpoint, pid=child.process.pid)

    def _is_ready(self, child: Child) -> bool:
        state = read_or_none(self._layout.instance(child.process.pid), InstanceState)
        return state is not None and state.ready

    def _note_end(self, child: Child) -> None:
        """A crash counts against the model that the instance served, and pauses the next start a little longer each time."""
        pid, code = child.process.pid, child.process.returncode
        path = self._layout.instance(pid)
        last = read_or_none(path, InstanceState)
        path.unlink(missing_ok=True)
        if child.draining:
            _log.info("instance_ended", endpoint=self.endpoint, pid=pid, code=code)
            return
        self._crashes = 1 if monotonic() - child.started > _STABLE_SECONDS else self._crashes + 1
        pause = min(_LONGEST_PAUSE, 0.1 * 2 ** (self._crashes - 1)) if self._crashes > 1 else 0.0
        self._spawn_at = monotonic() + pause
        self._crash_code = code
        _log.error("instance_crashed", endpoint=self.endpoint, pid=pid, code=code, restart_in_seconds=pause)
        digest = (last.digest if last else None) or ""
        append_count(self._layout.counts, Count(at=datetime.now(UTC), pid=pid, digest=digest, errors=1))

    def _publish(self) -> None:
        state = SupervisorState(
            endpoint=self.endpoint,
            url=self._url(),
            supervisor=os.getpid(),
            instances=tuple(c.process.pid for c in self._children if not c.draining),
            draining=tuple(c.process.pid for c in self._children if c.draining),
            failure=self._failure or self._crash_loop(),
        )
        if state != self._written:
            write_volatile(self._layout.state, state)
            self._written = state

    def _crash_loop(self) -> str | None:
        """Said while instances crash one after the other and none is ready."""
        if self._crashes < _CRASH_LOOP or any(self._is_ready(child) for child in self._children):
            return None
        return (
            f"instances of endpoint {self.endpoint} crash again and again, the last one with code {self._crash_code}: "
            "read the log of the serving process"
        )

    def _url(self) -> str:
        if self._listener is None or self._listener.fileno() < 0:
            return self._written.url if self._written else ""
        host = socket.gethostname() if self._host in ("0.0.0.0", "::") else self._host  # noqa: S104 - compared, not bound
        return f"http://{host}:{self._listener.getsockname()[1]}"


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket that instances inherit. Raises: OSError (port in use, no right to it)."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
