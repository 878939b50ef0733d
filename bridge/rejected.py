"""What the bridge could not take, kept for people to read: `<home>/bridge/rejected.jsonl`.

Bounded: at 10 MiB the file becomes `rejected.1.jsonl` and replaces the one before. Reasons and heads are ASCII JSON.
"""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

MAX_FILE_BYTES: Final = 10 * 1024 * 1024
_MAX_REASON: Final = 1000

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Rejection:
    """One alarm, or one body that held no alarm."""

    reason: str
    head: str
    sender: str
    content_type: str


class RejectedLog:
    """Appends whole lines, fsynced before the sender gets its answer."""

    def __init__(self, home: Path) -> None:
        self.path = home / "bridge" / "rejected.jsonl"
        self._lock = asyncio.Lock()

    async def append(self, rejections: Sequence[Rejection]) -> None:
        """Keep them; a disk that is full or forbidden must not keep the bridge from answering, so that goes to the log."""
        if not rejections:
            return
        for one in rejections:
            log.warning("alarm_rejected", reason=one.reason[:_MAX_REASON], sender=one.sender)
        lines = b"".join(_line(one) for one in rejections)
        async with self._lock:
            try:
                await asyncio.to_thread(self._write, lines)
            except OSError as error:
                log.error("rejected_log_failed", path=str(self.path), reason=error.strerror, lost=lines.decode()[:_MAX_REASON])  # noqa: TRY400 - a full disk needs no traceback

    def _write(self, lines: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size + len(lines) > MAX_FILE_BYTES:
            self.path.replace(self.path.with_suffix(".1.jsonl"))
            log.warning("rejected_log_rotated", path=str(self.path))
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, _after_torn_line(descriptor) + lines)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _after_torn_line(descriptor: int) -> bytes:
    """A line break where a crash left a line without one."""
    size = os.fstat(descriptor).st_size
    return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""


def _line(one: Rejection) -> bytes:
    kept = {"at": datetime.now(UTC).isoformat(), **asdict(one), "reason": one.reason[:_MAX_REASON]}
    return json.dumps(kept).encode() + b"\n"
