"""A container of the simulator: a folder that stands for /opt/ml, our source in it, and a process that runs it.

Nothing of this worktree is on its path but what the source package brought: what the package lacks fails here, too.
"""

import io
import json
import os
import signal
import tarfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.aws import bucket
from tests.aws.nursery import Child
from tests.aws.world import World

_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_TAIL = 2000


class NotRunnable(Exception):
    """The image is none that the simulator can play; the message says what is missing."""


class Container:
    """One folder, and at most one process at a time."""

    def __init__(self, world: World, root: Path, submit_directory: str | None, program: str | None) -> None:
        """Raises: NotRunnable (nothing of ours to run)."""
        if not submit_directory or not program:
            raise NotRunnable("NotSimulated: only images in script mode are run here: name sagemaker_program and its archive")
        source = bucket.read(submit_directory)
        if source is None:
            raise NotRunnable(f"ClientError: the source archive {submit_directory} is not there")
        self._world = world
        self.root = root
        self.program = program
        self.log = root / "log.txt"
        self._process: Child | None = None
        for name in ("code", "model", "input/config", "input/data", "output/data"):
            (root / name).mkdir(parents=True, exist_ok=True)
        unpack(source, root / "code")
        if not (root / "code" / program).is_file():
            raise NotRunnable(f"NotSimulated: the source archive has no {program}")

    def train(self, environment: Mapping[str, str]) -> None:
        self._spawn(["train", self.program], environment)

    def serve(self, environment: Mapping[str, str], seconds: float = 60) -> str:
        """Start the server; its address once it answers. Raises: NotRunnable (it died, with its last words)."""
        self._spawn(["serve", "0"], {"SAGEMAKER_PROGRAM": self.program, **environment})
        port, until = self.root / "port", time.monotonic() + seconds
        while not port.exists():
            if self.exit_code is not None or time.monotonic() > until:
                self.kill()
                raise NotRunnable(f"the container did not answer its health check: {self.last_words()}")
            time.sleep(0.01)
        return f"http://127.0.0.1:{int(port.read_text())}"

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def term(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def last_words(self) -> str:
        lines = self.log.read_bytes()[-_TAIL:].decode(errors="replace").strip() if self.log.exists() else ""
        return lines or "it said nothing"

    def config(self, name: str, content: object) -> None:
        (self.root / "input" / "config" / name).write_text(json.dumps(content))

    def channel(self, name: str, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            put(self.root / "input" / "data" / name / path, content)

    def _spawn(self, arguments: list[str], environment: Mapping[str, str]) -> None:
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        own = {"OMP_NUM_THREADS": "1", "HOMEOSTAT_ML_ROOT": str(self.root)}
        self._process = self._world.nursery.spawn(
            arguments, cwd=self.root / "code", environment={**passed, **environment, **own}, log=self.log
        )

    def _signal(self, how: signal.Signals) -> None:
        """One that has just ended, and isn't told of yet, needs none."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, how)


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def unpack(content: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        tar.extractall(folder, filter="data")


def packed(folder: Path) -> bytes:
    """The files of a folder as SageMaker packs them, in the order that the disk gives."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for path in folder.iterdir():
            tar.add(path, arcname=path.name)
    return content.getvalue()
