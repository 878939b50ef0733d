"""Every answer, kept: first as a line in a write-ahead segment, later as Parquet by day of the event.

capture/<endpoint>/wal/<time>-<pid>.jsonl     one open segment per instance, locked by its writer as long as that lives
capture/<endpoint>/day=YYYY-MM-DD/*.parquet   what closed segments were compacted to
capture/<endpoint>/quarantine/                files that could not be read, each with its reason beside it

A line reaches the operating system before the answer leaves, so a killed instance loses nothing that it answered.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from json import dumps
from pathlib import Path
from time import monotonic

import structlog
from pydantic import ValidationError

from platforms.files import exhausted_on_full_disk, make_folder, write_atomic
from platforms.tabular.captured import CapturedRow as CapturedRow

MAX_ROWS = 2000
"""A segment is closed after so many rows ..."""
MAX_SECONDS = 60.0
"""... or when it is so old."""

_log = structlog.get_logger()


def capture_line(row: CapturedRow) -> bytes:
    """The row as one line of JSON."""
    fields: dict[str, object] = {
        "id": row.id,
        "event_time": row.event_time.isoformat(),
        "served_at": row.served_at.isoformat(),
        "digest": row.digest,
        "score": row.score,
        "answer": row.answer,
        "features": row.features,
    }
    if row.scores is not None:
        fields["scores"] = row.scores
    return dumps(fields, separators=(",", ":")).encode() + b"\n"


def wal_folder(capture: Path) -> Path:
    return capture / "wal"


class CaptureWriter:
    """Appends an instance's answers to its open segment."""

    def __init__(self, capture: Path, *, max_rows: int = MAX_ROWS, max_seconds: float = MAX_SECONDS) -> None:
        self._folder = wal_folder(capture)
        self._max_rows = max_rows
        self._max_seconds = max_seconds
        self._handle: int | None = None
        self._size = 0
        self._rows = 0
        self._opened = 0.0

    def append(self, rows: Sequence[CapturedRow]) -> None:
        """Hand the rows to the operating system, all or none.

        Raises: Exhausted (disk full), OSError. The segment is then as it was before.
        """
        content = b"".join(capture_line(row) for row in rows)
        with exhausted_on_full_disk(self._folder):
            handle = self._handle if self._handle is not None else self._open()
            self._write(handle, content)
        self._rows += len(rows)
        self.close_if_due()

    def close_if_due(self) -> None:
        """Close the segment, so that it is compacted, once it is long or old enough."""
        if self._handle is not None and (self._rows >= self._max_rows or monotonic() - self._opened >= self._max_seconds):
            self.close()

    def close(self) -> None:
        """Close the open segment. The next row opens another one."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _open(self) -> int:
        """A new segment gets its lock before it gets its name, so that nobody compacts it too early."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}.jsonl"
        hidden = self._folder / f".tmp-{name}"
        handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        hidden.rename(self._folder / name)
        self._handle, self._size, self._rows, self._opened = handle, 0, 0, monotonic()
        return handle

    def _write(self, handle: int, content: bytes) -> None:
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[os.write(handle, rest) :]
        except OSError:
            os.ftruncate(handle, self._size)
            raise
        self._size += len(content)


@dataclass(frozen=True)
class Segment:
    """What a write-ahead segment holds; a torn last line was never answered and is no fault."""

    rows: tuple[CapturedRow, ...]
    faults: tuple[str, ...]


def read_segment(path: Path) -> Segment:
    """Read a segment, also while it is written. Raises: FileNotFoundError (it has been compacted)."""
    lines = path.read_bytes().split(b"\n")[:-1]
    rows: list[CapturedRow] = []
    faults: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(CapturedRow.model_validate_json(line))
        except ValidationError as error:
            faults.append(f"line {number}: {error.errors(include_url=False, include_input=False)[0]['msg'][:120]}")
    return Segment(tuple(rows), tuple(faults))


def segments(capture: Path) -> list[Path]:
    """Segments that aren't compacted yet, the oldest first."""
    return sorted(wal_folder(capture).glob("[0-9]*.jsonl"))


@contextmanager
def closed(segment: Path) -> Iterator[bool]:
    """Whether nobody writes the segment any more; nobody can begin to inside the block."""
    try:
        handle = os.open(segment, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except BlockingIOError:
        free = False
    try:
        yield free
    finally:
        os.close(handle)


def set_aside(capture: Path, path: Path, reason: str) -> None:
    """Move a file that can't be read into the quarantine, with the reason beside it, and say so."""
    day = path.parent.name
    quarantine = capture / "quarantine"
    make_folder(quarantine)
    target = quarantine / f"{day}-{path.name}"
    note = {"file": f"{day}/{path.name}", "reason": reason, "at": datetime.now(UTC).isoformat()}
    write_atomic(target.with_name(f"{target.name}.reason.json"), dumps(note, indent=2).encode() + b"\n")
    with suppress(FileNotFoundError):
        path.replace(target)
    _log.error("capture_file_set_aside", endpoint=capture.name, file=str(target), reason=reason)
