"""How many calls each model answered and failed, over time: what a bake is judged by.

Lines of `serving/<endpoint>/counts/<hour>.jsonl`; every instance appends what it counted since its last line, the supervisor
appends a line for each instance that crashed. So the figures outlive the instances, and no line is ever rewritten.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from contracts.base import Contract, Utc

KEEP = timedelta(days=7)
_HOUR = "%Y-%m-%dT%H"


class Count(Contract):
    """What one process counted in the stretch of time that ends at `at`."""

    at: Utc
    pid: int
    digest: str
    """Model that answered; empty while there was none."""
    requests: int = 0
    errors: int = 0


def append_count(folder: Path, count: Count) -> None:
    """Add a line in one write. Raises: OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{count.at:{_HOUR}}.jsonl"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, count.model_dump_json().encode() + b"\n")
    finally:
        os.close(handle)


def counts_since(folder: Path, since: datetime) -> Iterator[Count]:
    """Every count that reaches beyond `since`. A line torn by a full disk is passed over."""
    first = f"{since.astimezone(UTC):{_HOUR}}"
    for path in sorted(folder.glob("*.jsonl")):
        if path.stem >= first:
            yield from (count for count in _lines(path) if count.at >= since)


def forget_old_counts(folder: Path, now: datetime) -> None:
    """Remove the hours that nobody asks about any more."""
    oldest = f"{now - KEEP:{_HOUR}}"
    for path in folder.glob("*.jsonl"):
        if path.stem < oldest:
            path.unlink(missing_ok=True)


def _lines(path: Path) -> Iterator[Count]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    for line in content.splitlines():
        try:
            yield Count.model_validate_json(line)
        except ValidationError:
            continue
