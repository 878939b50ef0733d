"""What runs for one home folder, on disk, so that another command can end it; never a stranger that got a recycled pid."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

MARK = "HOMEOSTAT_GROUP"
"""In the environment of every process of a run: its home folder."""
CLOCK_TOLERANCE_SECONDS = 2.0
UNTOLD_SECONDS = 5.0


class Record(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    pid: int
    created: float
    """When the process began, in seconds since 1970: tells it from a later one with the same pid."""
    grace_seconds: float = 15.0

    def find(self) -> psutil.Process | None:
        """The live process of this record."""
        try:
            process = psutil.Process(self.pid)
            is_ours = abs(process.create_time() - self.created) < CLOCK_TOLERANCE_SECONDS
            return process if is_ours and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def heeds_sigterm(process: psutil.Process) -> bool:
    """True once it has set its handler for SIGTERM, the last thing before its loop; after 5 s where the system tells nothing."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return time.time() - process.create_time() > UNTOLD_SECONDS
    caught = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


class Records:
    """`<home>/run/NAME.json`, one for each process that was started, in the order of their start."""

    def __init__(self, home: Path) -> None:
        self._mark = str(home.resolve())
        self.folder = home.resolve() / "run"
        self.folder.mkdir(parents=True, exist_ok=True)

    def write(self, record: Record) -> None:
        path = self._path(record.name)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(record.model_dump_json() + "\n", encoding="utf-8")
        temporary.replace(path)

    def remove(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def read(self) -> list[Record]:
        """All records, oldest process first. One that can't be read names no process that we may end, so it is dropped."""
        found = [record for path in self.folder.glob("*.json") if (record := _parse(path))]
        return sorted(found, key=lambda record: record.created)

    def alive(self) -> dict[str, Record]:
        return {record.name: record for record in self.read() if record.find()}

    def end_all(self, say: Callable[[str], None]) -> int:
        """End every recorded process, the last started first, then whatever carries our mark. Returns how many ended."""
        ended = 0
        strays: list[psutil.Process] = []
        for record in reversed(self.read()):
            process = record.find()
            if process:
                strays += descendants(process)
                how = _end(process, record.grace_seconds)
                say(f"  {record.name}: {how} (pid {record.pid})")
                ended += 1
            self.remove(record.name)
        return ended + self.end_strays(strays)

    def end_strays(self, known: Iterable[psutil.Process] = ()) -> int:
        """Kill these and everything that carries our mark: only for when nothing recorded should be running."""
        strays = {process for process in (*known, *self._marked()) if process.is_running()}
        for process in strays:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(strays, timeout=5)
        return len(strays)

    def end_orphans(self, living: Iterable[Record]) -> int:
        """Kill what carries our mark and descends from no recorded process: left by one that was killed, it may hold its port."""
        kept = {record.pid for record in living}
        orphans = [process for process in self._marked() if not kept & {process.pid, *_ancestors(process)}]
        for process in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(orphans, timeout=5)
        return len(orphans)

    def _marked(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get(MARK) == self._mark:
                    yield process
            except (psutil.Error, OSError):
                continue  # gone, or another user's: not ours either way

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _ancestors(process: psutil.Process) -> set[int]:
    try:
        return {parent.pid for parent in process.parents()}
    except psutil.NoSuchProcess:
        return set()


def _parse(path: Path) -> Record | None:
    try:
        return Record.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def descendants(process: psutil.Process) -> list[psutil.Process]:
    """What it has started: to be asked before it ends, for the ones that don't carry our mark."""
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _end(process: psutil.Process, grace_seconds: float) -> str:
    try:
        process.terminate()
        process.wait(grace_seconds)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(5)
        return f"killed, it was still there after {grace_seconds:g} s"
    except psutil.NoSuchProcess:
        return "had ended"
    return "ended"
