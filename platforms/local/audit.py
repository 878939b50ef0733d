"""The audit chain on disk: one file of records, one line each, and an anchor kept elsewhere that says how many were acknowledged.

An append writes the record, then the anchor, then answers. Killed between the two it leaves one record that nobody was
told of; the next append anchors it. What a torn write leaves behind the last newline was never acknowledged and is cut
off. Everything else that does not fit refuses the append: a chain that is not whole gets no new record.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from contracts.audit import Anchor, AuditEntry, AuditRecord, Fault, Verification
from platforms.audit_entries import entry_bytes, hold_to_key, record_of
from platforms.errors import Corrupt, NotFound
from platforms.files import fsync_folder, json_bytes, locked, make_folder, platform_errors, read_json, write_atomic
from platforms.local.audit_lines import AuditLines
from policies import audit_chain
from policies.audit_chain import GENESIS, BrokenLink, Link


@dataclass(frozen=True)
class _Span:
    offset: int
    length: int


@dataclass
class _Index:
    """What this process knows of the file; extended by what was appended since, so that an append reads only that."""

    inode: int = 0
    size: int = 0
    """Bytes of the whole, checked lines."""
    records: int = 0
    head: str = GENESIS
    before: str = GENESIS
    """Hash of the record before the head."""
    keys: dict[str, _Span] = field(default_factory=dict)

    def follow(self, link: Link, length: int) -> None:
        """Take the next line in. Raises: BrokenLink (it does not follow from the last)."""
        if link.seq != self.records + 1 or link.previous != self.head:
            raise BrokenLink(f"it does not follow from record {self.records}")
        self.keys[str(link.entry.get("key"))] = _Span(self.size, length)
        self.records, self.before, self.head = link.seq, self.head, link.hash
        self.size += length


class LocalAudit:
    def __init__(self, home: Path, anchors: Path) -> None:
        self._path = home / "audit" / "audit.jsonl"
        self._lock = home / "audit" / "audit.lock"
        self._anchor = anchors / "audit.json"
        self._index = _Index()
        self._known = AuditLines(self._path)

    def append(self, entry: AuditEntry) -> AuditRecord:
        """Add a link and anchor it, or return the one with this key.

        Raises:
            Conflict: the key stands for another entry.
            Corrupt: the chain or its anchor does not hold; nothing is appended.
            Exhausted: the disk is full; nothing is appended.
            Invalid: the facts are not JSON.
        """
        body = entry_bytes(entry)
        with locked(self._lock):
            self._catch_up()
            known = self._index.keys.get(entry.key)
            return self._recorded(entry.key, body, known) if known else self._extend(entry)

    def read(self, endpoint: str | None = None) -> Iterator[AuditRecord]:
        """The records in order; `verify` says whether they are to be trusted. Raises: Corrupt (a line that can't be read)."""
        for number, line in enumerate(self._lines(self._size()), 1):
            if not line.endswith(b"\n"):
                return
            record = self._to_record(line, number)
            if endpoint in (None, record.entry.endpoint):
                yield record

    def after(self, position: int) -> Iterator[AuditRecord]:
        """What follows the first `position` records; costs what is new. Raises: Corrupt (a line that can't be read)."""
        for number in range(position + 1, self._known.count() + 1):
            if (line := self._known.line(number)) is not None:
                yield self._to_record(line, number)

    def get(self, seq: int) -> AuditRecord:
        """One record. Raises: NotFound, Corrupt."""
        line = self._known.line(seq)
        if line is None:
            raise NotFound(f"{self._path} has no record {seq}")
        return self._to_record(line, seq)

    def verify(self) -> Verification:
        with locked(self._lock):
            size = self._size()
            try:
                anchor, unreadable = self._read_anchor(), None
            except Corrupt as corrupt:
                anchor, unreadable = None, Fault(seq=0, what=str(corrupt))
        found = audit_chain.verify(self._lines(size), anchor)
        if unreadable is None:
            return found
        return found.model_copy(update={"verified": False, "head": None, "faults": (unreadable, *found.faults)})

    def _catch_up(self) -> None:
        """Read what was appended since, hold it to the anchor and mend what a crash left. Raises: Corrupt."""
        make_folder(self._path.parent)
        tail = self._read_new_lines()
        anchor = self._read_anchor()
        if anchor is None and not self._index.records and not tail:
            anchor = self._write_anchor()
        self._hold_to(anchor, tail)
        if tail:
            with platform_errors(self._path), self._path.open("rb+") as file:
                file.truncate(self._index.size)
                os.fsync(file.fileno())
        if anchor is not None and anchor.records < self._index.records:
            self._write_anchor()

    def _read_new_lines(self) -> int:
        """Extend the index; returns the number of bytes behind the last newline."""
        with platform_errors(self._path):
            try:
                now = self._path.stat()
            except FileNotFoundError:
                self._index = _Index()
                return 0
        if now.st_ino != self._index.inode or now.st_size < self._index.size:
            self._index = _Index(inode=now.st_ino)
        for line in self._lines(now.st_size, start=self._index.size):
            if not line.endswith(b"\n"):
                return len(line)
            self._follow(line)
        return 0

    def _follow(self, line: bytes) -> None:
        try:
            self._index.follow(audit_chain.read_link(line), len(line))
        except BrokenLink as broken:
            number = self._index.records + 1
            self._index = _Index()
            raise self._corrupt(f"record {number}: {broken}") from None

    def _hold_to(self, anchor: Anchor | None, tail: int) -> None:
        """Refuse whatever can't be one crash of our own between record and anchor."""
        index = self._index
        if anchor is None:
            raise self._corrupt(f"its anchor {self._anchor} is missing")
        if anchor.records > index.records:
            raise self._corrupt(f"the anchor says {anchor.records} records, the chain holds {index.records}: its end was cut off")
        beyond = index.records - anchor.records
        if beyond > 1 or (beyond and tail):
            raise self._corrupt(f"{beyond} records and {tail} bytes stand beyond the anchor; a crash leaves one record at most")
        if anchor.head != (index.before if beyond else index.head):
            raise self._corrupt(f"record {anchor.records} is not the one that the anchor names")

    def _corrupt(self, what: str) -> Corrupt:
        return Corrupt(
            f"{self._path}: {what}. Nothing is appended. Run `python starter.py audit verify`, "
            f"then restore the chain and its anchor from a backup (docs/records-format.md)"
        )

    def _recorded(self, key: str, body: bytes, span: _Span) -> AuditRecord:
        with platform_errors(self._path), self._path.open("rb") as file:
            file.seek(span.offset)
            line = file.read(span.length)
        record = self._to_record(line, 0)
        hold_to_key(key, body, record)
        return record

    def _to_record(self, line: bytes, number: int) -> AuditRecord:
        try:
            return record_of(line)
        except BrokenLink as broken:
            raise self._corrupt(f"line {number} can't be read: {broken}") from None

    def _extend(self, entry: AuditEntry) -> AuditRecord:
        record = audit_chain.seal(entry, seq=self._index.records + 1, previous=self._index.head)
        line = audit_chain.to_line(record)
        self._write(line)
        self._index.follow(audit_chain.read_link(line), len(line))
        self._write_anchor()
        return record

    def _write(self, line: bytes) -> None:
        """Append the line durably; what could be written of it is taken back when the rest could not."""
        created = not self._path.exists()
        with platform_errors(self._path):
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                _write_all(handle, line)
                os.fsync(handle)
                self._index.inode = os.fstat(handle).st_ino
            except OSError:
                os.ftruncate(handle, self._index.size)
                raise
            finally:
                os.close(handle)
            if created:
                fsync_folder(self._path.parent)

    def _size(self) -> int:
        with platform_errors(self._path):
            return self._path.stat().st_size if self._path.exists() else 0

    def _lines(self, size: int, start: int = 0) -> Iterator[bytes]:
        """The lines between two offsets; what is appended meanwhile is left out."""
        if size <= start:
            return
        with platform_errors(self._path), self._path.open("rb") as file:
            file.seek(start)
            while start < size and (line := file.readline(size - start)):
                start += len(line)
                yield line

    def _read_anchor(self) -> Anchor | None:
        try:
            return read_json(self._anchor, Anchor)
        except NotFound:
            return None

    def _write_anchor(self) -> Anchor:
        anchor = Anchor(records=self._index.records, head=self._index.head)
        write_atomic(self._anchor, json_bytes(anchor))
        return anchor


def _write_all(handle: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]
