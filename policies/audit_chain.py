"""The audit chain's arithmetic: how a record is hashed, and whether a sequence of them holds.

A line of the chain is the canonical JSON of one record plus a newline. The hash covers the canonical JSON of the record
without its `hash`; since keys are sorted, those are the line's own bytes with one piece cut out, so `sed` and `sha256sum`
can check it. docs/records-format.md says how.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from contracts.audit import Anchor, AuditEntry, AuditRecord, Fault, Verification

GENESIS = "0" * 64
"""What the first record names as its previous hash."""

MAX_FAULTS = 100
"""Faults that one verification lists; the rest is only counted."""

_FIELDS = {"entry", "hash", "previous", "seq"}


class BrokenLink(ValueError):
    """A line that is not what was written; the message says in which way."""


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """UTF-8 JSON with sorted keys and no spaces; numbers as Python's shortest repr.

    Raises:
        ValueError, TypeError: NaN, infinity, a lone surrogate, or something that is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def entry_body(entry: AuditEntry) -> dict[str, Any]:
    """The entry as plain JSON, as it is hashed and written. Raises: ValueError, TypeError."""
    body: dict[str, Any] = entry.model_dump(mode="json")
    canonical(body)
    return body


def record_hash(*, seq: int, entry: dict[str, Any], previous: str) -> str:
    return sha256(canonical({"seq": seq, "entry": entry, "previous": previous})).hexdigest()


def seal(entry: AuditEntry, *, seq: int, previous: str) -> AuditRecord:
    """The record that follows `previous`. Raises: ValueError, TypeError (facts that are not JSON)."""
    body = entry_body(entry)
    digest = record_hash(seq=seq, entry=body, previous=previous)
    return AuditRecord.model_validate({"seq": seq, "entry": body, "previous": previous, "hash": digest})


def to_line(record: AuditRecord) -> bytes:
    """The record as it stands in the file, newline included."""
    return canonical(record.model_dump(mode="json")) + b"\n"


@dataclass(frozen=True)
class Link:
    """One line, checked in itself: its bytes are canonical and its hash is right."""

    seq: int
    entry: dict[str, Any]
    previous: str
    hash: str


def read_link(line: bytes) -> Link:
    """Read one line, fields from newer versions included.

    Raises:
        BrokenLink: the line can't be read, was written otherwise, or does not match its hash.
    """
    raw = _parsed(line)
    link = Link(seq=raw["seq"], entry=raw["entry"], previous=raw["previous"], hash=raw["hash"])
    if record_hash(seq=link.seq, entry=link.entry, previous=link.previous) != link.hash:
        raise BrokenLink("edited: its hash does not match its content")
    return link


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(line)
        rewritten = canonical(raw) + b"\n" != line
    except (ValueError, RecursionError):
        raise BrokenLink("edited: the line is not JSON as the chain writes it") from None
    if not _is_record(raw):
        raise BrokenLink("edited: the line is not a record with entry, hash, previous and seq")
    if rewritten:
        raise BrokenLink("edited: the line was rewritten in another form")
    return dict(raw)


def _is_record(raw: object) -> bool:
    if not isinstance(raw, dict) or set(raw) != _FIELDS:
        return False
    texts = isinstance(raw["previous"], str) and isinstance(raw["hash"], str)
    return texts and isinstance(raw["entry"], dict) and type(raw["seq"]) is int


def verify(lines: Iterable[bytes], anchor: Anchor | None) -> Verification:
    """Whether the lines (newlines included, the first record first) are one unbroken chain that reaches its anchor.

    Every edited, removed, reordered or inserted record is named by its number; an end that was cut off is seen by the
    anchor. A last line without its newline was never acknowledged; it counts as absent.
    """
    scan = _Scan(anchor)
    for line in lines:
        scan.take(line)
    scan.close()
    return scan.result()


@dataclass
class _Scan:
    """One pass over the chain. After a fault it goes on from what it read, so that one wrong record is one fault."""

    anchor: Anchor | None
    records: int = 0
    seq: int = 0
    head: str = GENESIS
    """Hash that the last line claims; '' where that line can't be read."""
    anchored: str | None = None
    """Hash of the record that the anchor names."""
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def take(self, line: bytes) -> None:
        if not line.endswith(b"\n"):
            self.notes.append(f"{len(line)} bytes of an unfinished write follow record {self.seq}; the next append removes them")
            return
        self.records += 1
        try:
            link = read_link(line)
        except BrokenLink as broken:
            self._skip(line, str(broken))
            return
        if link.seq <= self.seq:
            self._fault(link.seq, f"reordered or inserted: it stands after record {self.seq}")
            return
        self._follow(link)
        self._advance(link.seq, link.hash)

    def _skip(self, line: bytes, what: str) -> None:
        """Go on behind a record that does not hold, by the hash that its successor will have to name."""
        self._fault(self.seq + 1, what)
        try:
            claimed = str(json.loads(line)["hash"])
        except (ValueError, RecursionError, KeyError, TypeError):
            claimed = ""
        self._advance(self.seq + 1, claimed)

    def _follow(self, link: Link) -> None:
        if link.seq > self.seq + 1:
            self._fault(self.seq + 1, f"removed: {_span(self.seq + 1, link.seq - 1)} missing")
        elif self.head and link.previous != self.head:
            self._fault(link.seq, f"replaced or inserted: it does not follow from record {self.seq}")

    def _advance(self, seq: int, claimed: str) -> None:
        self.seq, self.head = seq, claimed
        if self.anchor is not None and seq == self.anchor.records:
            self.anchored = claimed

    def close(self) -> None:
        if self.anchor is None:
            self._close_without_anchor()
            return
        if self.seq < self.anchor.records:
            self._fault(self.seq + 1, f"truncated: {_span(self.seq + 1, self.anchor.records)} missing at the end")
        elif self._anchored_hash() != self.anchor.head:
            self._fault(self.anchor.records, "rewritten: the anchor holds another hash for it")
        self._close_beyond(self.seq - self.anchor.records)

    def _anchored_hash(self) -> str | None:
        assert self.anchor is not None
        return self.anchored if self.anchor.records else GENESIS

    def _close_without_anchor(self) -> None:
        if self.records:
            self._fault(self.seq, "the anchor is missing: nobody can tell whether records after it were cut off")

    def _close_beyond(self, beyond: int) -> None:
        if beyond == 1:
            self.notes.append(
                f"record {self.seq} is one beyond the anchor: a crash left it unacknowledged; the next append anchors it"
            )
        elif beyond > 1:
            what = f"inserted, or the anchor is old: {beyond} records stand beyond the anchor, and a crash leaves one at most"
            self._fault(self.seq - beyond + 2, what)

    def _fault(self, seq: int, what: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(seq=seq, what=what))
        elif len(self.faults) == MAX_FAULTS:
            self.faults.append(Fault(seq=seq, what="more faults follow; they are not listed"))

    def result(self) -> Verification:
        head = self.head if self.records and not self.faults else None
        return Verification(
            records=self.records, verified=not self.faults, faults=tuple(self.faults), head=head, notes=tuple(self.notes)
        )


def _span(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"
