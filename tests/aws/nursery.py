"""Starts containers' processes quickly: one process that has imported the libraries, and forks for each container.

Only libraries that an image holds are imported here; our own code is read by each child from its own source package.
Serves a Unix socket: a line of JSON asks for a process, a line with its pid comes back, then one with its exit code.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

LIBRARIES = ("lightgbm", "numpy", "pyarrow.parquet", "pyarrow.compute", "pydantic", "pydantic_core", "filelock", "flask")
TOOLKIT = Path(__file__).with_name("toolkit.py")


class Child:
    """A process of the nursery."""

    def __init__(self, connection: socket.socket) -> None:
        self._lines = connection.makefile("r")
        self.pid = int(self._lines.readline())
        self._code: int | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._code if self._ended.is_set() else None

    def wait(self) -> None:
        self._ended.wait()

    def _follow(self) -> None:
        told = self._lines.readline().strip()
        self._code = int(told) if told else -signal.SIGKILL
        self._ended.set()


class Nursery:
    """From the simulator's side; the process is started when the first container needs it."""

    def __init__(self, home: Path) -> None:
        self._path = home / "nursery.sock"
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(self, arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path) -> Child:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._begin()
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self._path))
        asked = {"arguments": list(arguments), "cwd": str(cwd), "environment": dict(environment), "log": str(log)}
        connection.sendall(json.dumps(asked).encode() + b"\n")
        return Child(connection)

    def end(self) -> None:
        """Its children end with it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _begin(self) -> None:
        self._path.unlink(missing_ok=True)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, __file__, str(self._path), str(os.getpid())]
        self._process = subprocess.Popen(command, env=environment, cwd="/", stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError("the nursery of containers did not start")


def main(path: str, parent: int) -> None:
    """Serve until the simulator is gone."""
    for name in LIBRARIES:
        __import__(name)
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(64)
    waiting, reader = selectors.DefaultSelector(), os.pipe()
    os.set_blocking(reader[1], False)
    signal.set_wakeup_fd(reader[1])
    signal.signal(signal.SIGCHLD, lambda *_: None)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    waiting.register(server, selectors.EVENT_READ)
    waiting.register(reader[0], selectors.EVENT_READ)
    children: dict[int, socket.socket] = {}
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while os.getppid() == parent and not ending.is_set():
        for key, _ in waiting.select(1.0):
            if key.fileobj is server:
                _born(server, children)
            else:
                os.read(reader[0], 512)
        _reap(children)
    for pid in children:
        os.killpg(pid, signal.SIGKILL)


def _born(server: socket.socket, children: dict[int, socket.socket]) -> None:
    connection, _ = server.accept()
    asked = json.loads(connection.makefile("r").readline())
    pid = os.fork()
    if pid == 0:
        server.close()
        _live(asked)
    children[pid] = connection
    with suppress(PermissionError, ProcessLookupError):
        os.setpgid(pid, pid)  # as the child does: whoever hears of it may signal its group at once
    connection.sendall(f"{pid}\n".encode())


def _live(asked: dict[str, object]) -> None:
    """The child: in its folder, with its own environment and log, it becomes the toolkit."""
    code = 1
    try:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        log = os.open(str(asked["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(str(asked["cwd"]))
        os.environ.clear()
        os.environ.update(asked["environment"])  # type: ignore[call-overload]
        sys.path[:] = [entry for entry in sys.path if entry.endswith("-packages") or "/lib/python" in entry]
        sys.argv = [str(TOOLKIT), *asked["arguments"]]  # type: ignore[misc]
        source = compile(TOOLKIT.read_text(), str(TOOLKIT), "exec")
        exec(source, {"__name__": "__main__", "__file__": str(TOOLKIT)})
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - whatever ends the child is told, and never reaches the nursery
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _reap(children: dict[int, socket.socket]) -> None:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            connection = children.pop(pid)
            try:
                connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
                connection.close()
            except OSError:
                continue


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
