"""Follows the audit chain: each record once, as a line, and the end of each incident."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from time import monotonic
from typing import Any, Final

import structlog

from contracts.audit import AuditEvent, AuditRecord
from platforms.errors import PlatformError
from platforms.ports import AuditStore
from review.book import Book, Incident, Record

_CHUNK: Final = 100
_EVERY_SECONDS: Final = 1.0
_VERIFY_SECONDS: Final = 600.0
"""The whole chain is held to its anchor when the page starts, so often after that, and when somebody asks."""

log = structlog.get_logger(__name__)


class Chronicle:
    def __init__(self, book: Book, audit: AuditStore) -> None:
        self._book = book
        self._audit = audit
        self._verified = -_VERIFY_SECONDS

    async def forever(self) -> None:
        while True:
            try:
                more = await self.step()
                if not more and monotonic() - self._verified > _VERIFY_SECONDS:
                    await self.verify()
            except PlatformError as error:
                log.warning("audit_unreadable", reason=str(error)[:300])
                await self._verify_once()
                more = False
            await asyncio.sleep(0 if more else _EVERY_SECONDS)

    async def step(self) -> bool:
        """Read some more; True where there may be still more. Raises: PlatformError."""
        new = await asyncio.to_thread(self._read)
        self._book.add_records([_line(record) for record in new])
        for record in new:
            self._close(record)
        return len(new) == _CHUNK

    def _read(self) -> list[AuditRecord]:
        return list(islice(self._audit.after(len(self._book.records)), _CHUNK))

    async def verify(self) -> None:
        """Raises: PlatformError."""
        self._verified = monotonic()
        found = await asyncio.to_thread(self._audit.verify)
        self._book.verified(found, datetime.now(UTC))
        if found.records < len(self._book.records):
            self._book.forget_records()

    async def _verify_once(self) -> None:
        """What can't be read is named by the verification, which is shown."""
        if monotonic() - self._verified > _VERIFY_SECONDS:
            try:
                await self.verify()
            except PlatformError as error:
                log.warning("audit_unverifiable", reason=str(error)[:300])

    def _close(self, record: AuditRecord) -> None:
        """An incident's records are remembered with it; `closed` says how it ended."""
        entry = record.entry
        if not entry.incident:
            return
        known = self._book.incidents.get(f"{entry.endpoint}/{entry.incident}") or Incident(entry.endpoint, entry.incident)
        row = replace(known, records=(*known.records, record.seq))
        if entry.event is AuditEvent.CLOSED:
            row = replace(
                row,
                state=str(entry.facts.get("outcome") or "closed"),
                stage="closed",
                waiting_on="",
                at=entry.at,
                sentence=_sentence(entry.facts),
                verdict=_verdict(entry.facts),
                deadline=None,
            )
        elif not known.started and not known.at:
            row = replace(row, at=entry.at)
        self._book.put_incident(row)


def _line(record: AuditRecord) -> Record:
    entry = record.entry
    return Record(
        seq=record.seq,
        at=entry.at,
        event=entry.event.value,
        endpoint=entry.endpoint,
        incident=entry.incident,
        hash=record.hash,
        sentence=_sentence(entry.facts),
    )


def _sentence(facts: dict[str, Any]) -> str:
    """The shortest that the facts offer; they are as hostile as what people and detectors wrote."""
    judgement = facts.get("judgement")
    judged = judgement.get("sentence") if isinstance(judgement, dict) else None
    return str(facts.get("sentence") or judged or facts.get("reason") or "")[:500]


def _verdict(facts: dict[str, Any]) -> str:
    judgement = facts.get("judgement")
    return str(judgement.get("verdict") or "") if isinstance(judgement, dict) else ""
