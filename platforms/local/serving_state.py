"""What the supervisor, its instances and `LocalServing` tell one another through files under `serving/<endpoint>/`.

desired.json          written by LocalServing: the model and the number of instances that are wanted
good.json             written by instances: the last desired state that really loaded, what a fresh instance falls back to
state.json            written by the supervisor: address, live instances, why the endpoint can't be reached
instances/<pid>.json  written by each instance: what it serves, its counters, its heartbeat
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

from pydantic import BaseModel, Field

from contracts.base import Contract, EndpointName, Sha256, Utc
from platforms.errors import NotFound
from platforms.files import checked_name, exhausted_on_full_disk, read_json

M = TypeVar("M", bound=BaseModel)


class AppliedKey(Contract):
    """A deployment that was asked for before, so that asking again changes nothing."""

    key: str
    digest: Sha256


class Desired(Contract):
    """What an endpoint should serve."""

    endpoint: EndpointName
    digest: Sha256
    artifact: str
    instances: int = Field(ge=1)
    port: int = Field(ge=0, le=65535)
    threshold: float
    key: str
    applied: tuple[AppliedKey, ...] = ()
    """The last deployments, the newest last, this one included."""


class SupervisorState(Contract):
    """What the supervisor says of one endpoint."""

    endpoint: EndpointName
    url: str = ""
    supervisor: int
    instances: tuple[int, ...] = ()
    """Process ids that serve or are starting; draining ones are left out."""
    draining: tuple[int, ...] = ()
    failure: str | None = None
    """Why nobody can reach the endpoint, with the remedy."""


class Histogram(Contract):
    """Latencies of answered calls, in seconds; `counts[i]` is how many took at most `LATENCY_BOUNDS[i]`, not cumulative."""

    counts: tuple[int, ...] = ()
    total_seconds: float = 0.0


class InstanceState(Contract):
    """What one instance says of itself."""

    pid: int
    digest: Sha256 | None = None
    ready: bool = False
    """Accepts calls."""
    failure: str | None = None
    """Why the wanted model is not in service here."""
    wanted: Sha256 | None = None
    """The model that `failure` speaks of."""
    requests: int = 0
    """Answered predict calls."""
    rows: int = 0
    rejected: int = 0
    """Calls refused because of what was sent (4xx)."""
    errors: int = 0
    """Calls that failed on our side (5xx)."""
    uncaptured: int = 0
    """Answers that could not be captured, because the disk was full."""
    latency: Histogram = Field(default_factory=Histogram)
    heartbeat: Utc


class Layout:
    """Paths of one endpoint. Raises: Invalid (a name that could lead elsewhere)."""

    def __init__(self, home: Path, endpoint: str) -> None:
        self.folder = home / "serving" / checked_name(endpoint, "endpoint")
        self.desired = self.folder / "desired.json"
        self.good = self.folder / "good.json"
        self.state = self.folder / "state.json"
        self.instances = self.folder / "instances"
        self.counts = self.folder / "counts"
        self.capture = home / "capture" / endpoint

    def instance(self, pid: int) -> Path:
        return self.instances / f"{pid}.json"


def read_or_none(path: Path, model: type[M]) -> M | None:
    """The file's content, or None where there is no such file. Raises: Corrupt."""
    try:
        return read_json(path, model)
    except NotFound:
        return None


def write_volatile(path: Path, value: BaseModel) -> None:
    """Replace a status file in one step, without forcing it to the disk: it means nothing after a reboot."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{token_hex(4)}")
    with exhausted_on_full_disk(path):
        try:
            temporary.write_bytes(value.model_dump_json().encode())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def stamp(path: Path) -> tuple[int, int, int] | None:
    """Changes whenever the file is replaced; None while there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def supervisor_lock(home: Path) -> Path:
    """Held by the one supervisor of this home, from its first moment."""
    return home / "serving" / ".supervisor.lock"


def serving_lock(home: Path) -> Path:
    """Held by the supervisor once what an earlier one left behind is cleared: until then nothing on disk is true."""
    return home / "serving" / ".serving.lock"


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Take the lock for the block if it is free; yields whether it was. The system frees it when the holder dies."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _try_lock(handle, fcntl.LOCK_EX)
    finally:
        os.close(handle)


def supervised(home: Path) -> bool:
    """Whether a supervisor runs, asked of the lock that dies with it."""
    try:
        handle = os.open(serving_lock(home), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
