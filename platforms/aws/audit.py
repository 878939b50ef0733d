"""The audit chain as objects: `audit/<number>.json` is one line of the chain, `anchors/<number>.json` says it was acknowledged.

A number is taken by S3's `IfNoneMatch`, so of two writers one gets it and the other goes on behind it: one linear chain, whoever
writes. An append writes the record, then the pointer `audit-keys/<digest>` from its key to its number, then the anchor.
Killed in between it leaves one record that nobody was told of; the next append gives it pointer and anchor. So every anchored
record is found by its key without reading the chain, and a key stands for one record for ever. Everything that does not fit
refuses the append. Where the bucket has object lock, records, pointers and anchors are retained under it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import Final

from contracts.audit import Anchor, AuditEntry, AuditRecord, Fault, Verification
from platforms.audit_entries import entry_bytes, hold_to_key, record_of
from platforms.aws.calls import Aws
from platforms.aws.objects import Objects, Retention, together
from platforms.errors import Corrupt, NotFound, Unavailable
from platforms.files import json_bytes
from policies import audit_chain
from policies.audit_chain import GENESIS, BrokenLink

_TRIES: Final = 64
"""Writers that may be faster than this one, one after the other, before it comes back later."""
_BATCH: Final = 200


class AwsAudit:
    """One object may be shared by threads, one bucket by processes."""

    def __init__(self, aws: Aws, objects: Objects) -> None:
        self._aws = aws
        self._objects = objects
        self._lock = Lock()
        self._head: AuditRecord | None = None
        """The newest record at the last look, anchored."""
        self._locks: bool | None = None

    def append(self, entry: AuditEntry) -> AuditRecord:
        """Add a link and anchor it, or return the one with this key.

        Raises:
            Conflict: the key stands for another entry.
            Corrupt: the chain or its anchor does not hold; nothing is appended.
            Unavailable: too many write at once, or S3 doesn't answer.
            Invalid: the facts are not JSON.
        """
        body = entry_bytes(entry)
        with self._lock:
            for _ in range(_TRIES):
                head = self._settled_head()
                known = self._by_key(entry.key)
                if known is not None:
                    hold_to_key(entry.key, body, known)
                    return known
                seq, previous = (1, GENESIS) if head is None else (head.seq + 1, head.hash)
                record = audit_chain.seal(entry, seq=seq, previous=previous)
                if self._objects.create(_record(seq), audit_chain.to_line(record), retention=self._retention()):
                    self._settle(record)
                    self._head = record
                    return record
        raise Unavailable(f"{self._objects.uri('audit/')}: {_TRIES} other writers were faster. Try again")

    def read(self, endpoint: str | None = None) -> Iterator[AuditRecord]:
        """The records in order; `verify` says whether they are to be trusted. Raises: Corrupt (one can't be read)."""
        return (record for record in self.after(0) if endpoint in (None, record.entry.endpoint))

    def after(self, position: int) -> Iterator[AuditRecord]:
        """What follows the first `position` records; costs what is new. Raises: Corrupt."""
        keys = list(self._objects.keys("audit/", after=_record(position)))
        for start in range(0, len(keys), _BATCH):
            for line, key in zip(together(self._objects.get, keys[start : start + _BATCH]), keys[start:], strict=False):
                yield self._to_record(line, key)

    def get(self, seq: int) -> AuditRecord:
        """One record. Raises: NotFound, Corrupt."""
        if seq < 1:
            raise NotFound(f"{self._objects.uri('audit/')} has no record {seq}")
        return self._to_record(self._objects.get(_record(seq)), _record(seq))

    def verify(self) -> Verification:
        keys, number = self._extent()
        try:
            anchor = self._objects.read(_anchor(number), Anchor) if number else None
        except Corrupt as corrupt:
            unreadable = Fault(seq=0, what=str(corrupt))
            found = audit_chain.verify(self._lines(keys), None)
            return found.model_copy(update={"verified": False, "head": None, "faults": (unreadable, *found.faults)})
        if anchor is None and len(keys) <= 1:
            anchor = Anchor(records=0, head=GENESIS)
        return audit_chain.verify(self._lines(keys), anchor)

    def _extent(self) -> tuple[list[str], int]:
        """The records, and the newest anchor that they are to be held to, while others go on appending: an anchor that was there
        before the look must be reached, and one that came with a record after it doesn't count yet.
        """
        before = self._newest("anchors/", 0)
        keys = list(self._objects.keys("audit/"))
        newest = _number(keys[-1]) if keys else 0
        after = self._newest("anchors/", 0)
        return keys, before if newest < before else min(after, newest)

    def _lines(self, keys: list[str]) -> Iterator[bytes]:
        for start in range(0, len(keys), _BATCH):
            yield from together(self._objects.get, keys[start : start + _BATCH])

    def _settled_head(self) -> AuditRecord | None:
        """The newest record, anchored; None for an empty chain. Raises: Corrupt."""
        seen = self._head.seq if self._head else 0
        newest, anchored = self._newest("audit/", seen - 1), self._newest("anchors/", seen - 1)
        if min(newest, anchored) < seen:
            raise self._corrupt(f"record {seen} or its anchor is gone")
        if anchored > newest:
            newest = self._newest("audit/", anchored - 1)
        if anchored > newest:
            raise self._corrupt(f"the anchor says {anchored} records, the chain holds {newest}: its end was cut off")
        if newest == seen:
            return self._head
        return self._anchored_head(newest, anchored)

    def _anchored_head(self, newest: int, anchored: int) -> AuditRecord:
        if newest - anchored > 1:
            raise self._corrupt(f"{newest - anchored} records stand beyond the anchor; a crash leaves one at most")
        head = self.get(newest)
        if head.seq != newest:
            raise self._corrupt(f"record {newest} says that it is record {head.seq}")
        if newest <= anchored and self._objects.read(_anchor(newest), Anchor).head != head.hash:
            raise self._corrupt(f"record {newest} is not the one that the anchor names")
        if newest > anchored:
            self._hold_to_anchor(head)
            self._settle(head)
        self._head = head
        return head

    def _hold_to_anchor(self, head: AuditRecord) -> None:
        """A record beyond the anchor follows from the anchored one. Raises: Corrupt."""
        before = self._objects.read(_anchor(head.seq - 1), Anchor).head if head.seq > 1 else GENESIS
        if head.previous != before:
            raise self._corrupt(f"record {head.seq} does not follow from the one that the anchor names")

    def _newest(self, folder: str, known: int) -> int:
        """The largest number under `folder` beyond `known`, or that where nothing is beyond."""
        after = f"{folder}{max(known, 0):012d}.json"
        return max((_number(key) for key in self._objects.keys(folder, after=after)), default=max(known, 0))

    def _settle(self, record: AuditRecord) -> None:
        """Pointer, then anchor; both may be there already."""
        self._written_once(_pointer(record.entry.key), f"{record.seq}\n".encode())
        self._written_once(_anchor(record.seq), json_bytes(Anchor(records=record.seq, head=record.hash)))

    def _written_once(self, key: str, content: bytes) -> None:
        if not self._objects.create(key, content, retention=self._retention()) and self._objects.get(key) != content:
            raise self._corrupt(f"{key} does not name the record that it should")

    def _by_key(self, key: str) -> AuditRecord | None:
        try:
            found = self._objects.get(_pointer(key))
        except NotFound:
            return None
        record = self.get(int(found) if found.strip().isdigit() else 0)
        if record.entry.key != key:
            raise self._corrupt(f"{_pointer(key)} leads to record {record.seq}, which has another key")
        return record

    def _to_record(self, line: bytes, key: str) -> AuditRecord:
        try:
            return record_of(line)
        except BrokenLink as broken:
            raise self._corrupt(f"{key} can't be read: {broken}") from None

    def _retention(self) -> Retention | None:
        settings = self._aws.settings
        if self._locks is None:
            self._locks = settings.audit_retention_days > 0 and self._bucket_locks()
        if not self._locks:
            return None
        return Retention(settings.audit_lock, datetime.now(UTC) + timedelta(days=settings.audit_retention_days))

    def _bucket_locks(self) -> bool:
        try:
            found = self._aws.call("s3", "get_object_lock_configuration", Bucket=self._objects.bucket)
        except NotFound:
            return False
        return bool(found["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled")

    def _corrupt(self, what: str) -> Corrupt:
        return Corrupt(
            f"{self._objects.uri('audit/')}: {what}. Nothing is appended. Run `python starter.py audit verify`, "
            f"then restore earlier versions of the objects (docs/records-format.md)"
        )


def _record(seq: int) -> str:
    return f"audit/{seq:012d}.json"


def _anchor(seq: int) -> str:
    return f"anchors/{seq:012d}.json"


def _pointer(key: str) -> str:
    return f"audit-keys/{sha256(key.encode(errors='surrogatepass')).hexdigest()}"


def _number(key: str) -> int:
    digits = key.rpartition("/")[2].removesuffix(".json")
    return int(digits) if digits.isdigit() else 0
