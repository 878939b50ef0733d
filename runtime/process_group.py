"""Processes of one run on this machine: started in order, waited for, ended in reverse order, none left behind.

Every child gets its own session, so Ctrl-C in the terminal reaches only us and we end them in order. Every child and whatever it
starts carries a mark in its environment, so even a grandchild in a session of its own is found when the run ends.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import filelock
import psutil

from runtime.errors import StartError
from runtime.process_records import MARK, Record, Records, descendants

PROJECT = Path(__file__).resolve().parents[1]
POLL_SECONDS = 0.05
TAIL_LINES = 15
LOG_LIMIT_BYTES = 20_000_000


class ProcessFailed(StartError):
    """A process ended by itself or did not become ready; the message ends with the last lines of its log."""

    exit_code = 70


class HomeInUse(StartError):
    """Another run holds the home folder."""

    exit_code = 75


@dataclass(frozen=True)
class Process:
    """What to start. `env` is added to ours, None takes a variable away. Without `ready` a second of life counts as ready.

    `argv[0]` is a program, mostly `sys.executable`; the working folder is the project's. `ready` never raises for 'not yet'.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str | None] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None
    ready_seconds: float = 60.0
    grace_seconds: float = 15.0
    """From SIGTERM to SIGKILL."""


@dataclass(frozen=True)
class Running:
    process: Process
    handle: psutil.Popen
    log: Path
    log_start: int
    """Where in the log this run begins, in bytes."""

    @property
    def pid(self) -> int:
        return self.handle.pid

    def alive(self) -> bool:
        return self.handle.poll() is None

    def tail(self) -> str:
        with self.log.open("rb") as stream:
            stream.seek(self.log_start)
            lines = stream.read().decode(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-TAIL_LINES:]) or "    (the log is empty)"


def to_stdout(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class ProcessGroup:
    """The processes of one home folder. As a context it first ends what a killed run left, and at its end all it started.

    `with ProcessGroup(home) as group: group.start(Process(...)); ...; group.check()`. Logs go to `<home>/logs/NAME.log`.
    """

    def __init__(self, home: Path, *, say: Callable[[str], None] = to_stdout) -> None:
        self.home = home.resolve()
        self.records = Records(self.home)
        self._say = say
        self._running: list[Running] = []
        self._lock = filelock.FileLock(self.records.folder / "lock")

    def __enter__(self) -> Self:
        self.acquire()
        try:
            self.records.end_all(self._say)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.stop()
        finally:
            self._lock.release()

    @contextmanager
    def held(self) -> Iterator[Self]:
        """Hold the home folder without ending anything: for a run that outlives the command that starts it."""
        self.acquire()
        try:
            yield self
        finally:
            self._lock.release()

    def acquire(self) -> None:
        """Two runs in one home folder would end each other's processes: HomeInUse for the second."""
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise HomeInUse(f"another run uses {self.home}; wait for its end, or set HOMEOSTAT_HOME to another folder") from None

    def start(self, process: Process) -> Running:
        """Start and wait until ready; ProcessFailed when it ends or dawdles, with all others still running."""
        began = time.monotonic()
        running = self._launch(process)
        self._await_ready(running)
        self._say(f"  {process.name}: ready after {time.monotonic() - began:.1f} s (pid {running.pid})")
        return running

    def check(self) -> None:
        """ProcessFailed when one has ended by itself."""
        for running in self._running:
            if not running.alive():
                raise ProcessFailed(_ended(running))

    def stop_one(self, name: str, sig: signal.Signals = signal.SIGTERM) -> None:
        """End one process of this group, by default in good order; it may be started again."""
        for running in [each for each in self._running if each.process.name == name]:
            self._end(running, sig)
            self._running.remove(running)

    def stop(self) -> None:
        """End all that this group started, the last one first, then whatever they left. One that is gone is no error."""
        with _undisturbed():
            strays = [child for running in self._running if running.alive() for child in descendants(running.handle)]
            while self._running:
                self._end(self._running.pop(), signal.SIGTERM)
            if not self.records.alive():
                self.records.end_strays(strays)

    def leave_running(self) -> None:
        """Let go: the processes live on under their records, for `down` to end."""
        self._running.clear()

    def _launch(self, process: Process) -> Running:
        log = self.home / "logs" / f"{process.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        _roll(log)
        with log.open("ab") as stream:
            log_start = stream.tell()
            handle = self._popen(process, stream.fileno())
        running = Running(process, handle, log, log_start)
        self._running.append(running)
        self.records.write(
            Record(name=process.name, pid=handle.pid, created=handle.create_time(), grace_seconds=process.grace_seconds)
        )
        return running

    def _popen(self, process: Process, log: int) -> psutil.Popen:
        merged = {**os.environ, "HOMEOSTAT_HOME": str(self.home), "PYTHONUNBUFFERED": "1", **process.env, MARK: str(self.home)}
        env = {name: value for name, value in merged.items() if value is not None}
        try:
            return psutil.Popen(
                list(process.argv), cwd=PROJECT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        except OSError as error:
            raise ProcessFailed(f"{process.name} could not be started: {process.argv[0]}: {error.strerror}") from error

    def _await_ready(self, running: Running) -> None:
        process = running.process
        began = time.monotonic()
        is_ready = process.ready or (lambda: time.monotonic() - began >= 1.0)
        while True:
            if not running.alive():
                raise ProcessFailed(_ended(running))
            if is_ready() and running.alive():
                return
            if time.monotonic() - began > process.ready_seconds:
                raise ProcessFailed(
                    f"{process.name} was not ready after {process.ready_seconds:g} s; its log {running.log}:\n{running.tail()}"
                )
            time.sleep(POLL_SECONDS)

    def _end(self, running: Running, sig: signal.Signals) -> None:
        handle = running.handle
        if running.alive():
            handle.send_signal(sig)
        try:
            handle.wait(running.process.grace_seconds)
        except psutil.TimeoutExpired:
            self._say(f"  {running.process.name}: still there after {running.process.grace_seconds:g} s, killed")
            handle.kill()
            handle.wait()
        self.records.remove(running.process.name)


def _ended(running: Running) -> str:
    code = running.handle.returncode
    how = f"was ended by signal {-code}" if code < 0 else f"ended by itself with exit code {code}"
    return f"{running.process.name} {how}; the last lines of {running.log}:\n{running.tail()}"


def _roll(log: Path) -> None:
    """Keep one older log at most, so that a year of restarts can't fill the disk."""
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_name(log.name + ".1"))


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not stop the cleaning up, which ends by itself within the grace times."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {sig: signal.signal(sig, signal.SIG_IGN) for sig in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for sig, handler in before.items():
            signal.signal(sig, handler)


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal raise SystemExit, so that a `with ProcessGroup` around the work cleans up as on Ctrl-C."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signals = (signal.SIGTERM, signal.SIGHUP)
    before = {sig: signal.signal(sig, leave) for sig in signals}
    try:
        yield
    finally:
        for sig, handler in before.items():
            signal.signal(sig, handler)
