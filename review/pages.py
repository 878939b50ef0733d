"""What can be looked at. Nothing here changes anything."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from contracts.audit import AuditEvent
from contracts.base import EndpointName
from platforms.errors import NotFound, PlatformError
from review.book import Book, Endpoint, page_of
from review.desk import Desk
from review.incident_page import IncidentPage
from review.sessions import Session

_ENDPOINT: Final[TypeAdapter[str]] = TypeAdapter(EndpointName)
_QUERY: Final = 100
_DIGITS: Final = 6
_EVENTS: Final = tuple(event.value for event in AuditEvent)

Shown = Callable[[Request, Session], Awaitable[Response]]


class Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._incidents = IncidentPage(desk)

    def behind_login(self, shown: Shown) -> Callable[[Request], Awaitable[Response]]:
        async def page(request: Request) -> Response:
            session = self._desk.session(request)
            return self._desk.to_login(request) if session is None else await shown(request, session)

        return page

    async def inbox(self, request: Request, session: Session) -> Response:
        mine = self._desk.mine(session.login)
        names = {row.name for row in mine}
        others = [row for row in self._desk.book.waiting() if row.name not in names]
        return self._desk.page(request, "inbox.html", topics="inbox", rows=mine, others=others[:50], more=len(others) - 50)

    async def fleet(self, request: Request, session: Session) -> Response:  # noqa: ARG002 - every page's signature
        sought, show = _text(request, "q").lower(), _text(request, "show")
        rows = [row for row in _fleet(self._desk.book) if sought in f"{row.name} {row.team}".lower() and _shown(row, show)]
        found = page_of(rows, _number(request))
        return self._desk.page(
            request, "fleet.html", topics="fleet", found=found, q=sought, show=show, **_counts(self._desk.book)
        )

    async def endpoint(self, request: Request, session: Session) -> Response:
        return await self.endpoint_page(request, session)

    async def endpoint_page(self, request: Request, session: Session, *, problem: str = "", status: int = 200) -> Response:  # noqa: ARG002 - as above
        name = request.path_params["endpoint"]
        row = self._desk.book.endpoints.get(name)
        if row is not None:
            row = await self._desk.refresher.look_lifecycle(name) or row
        found = page_of(self._desk.book.of(name), _number(request))
        if row is None and not found.total:
            return self._desk.message(request, "No such endpoint", "Nothing of this name runs, and no record names it.", 404)
        row = row or Endpoint(name, stage="not running", answered=False)
        work = self._desk.book.incidents.get(f"{name}/{row.incident}")
        shown = {"row": row, "state": row.status.state if row.status else None, "found": found, "work": work}
        topics = f"endpoint/{name}"
        return self._desk.page(
            request, "endpoint.html", status=status, topics=topics, problem=problem, said=_text(request, "said"), **shown
        )

    async def incidents(self, request: Request, session: Session) -> Response:  # noqa: ARG002 - every page's signature
        sought, state = _text(request, "q").lower(), _text(request, "state")
        rows = [row for row in self._desk.book.newest() if sought in row.name.lower() and state in ("", row.state)]
        states = sorted({row.state for row in self._desk.book.newest()})
        found = page_of(rows, _number(request))
        return self._desk.page(request, "incidents.html", topics="incidents", found=found, q=sought, state=state, states=states)

    async def incident(self, request: Request, session: Session) -> Response:
        return await self._incidents.shown(request, session.login)

    async def audit(self, request: Request, session: Session) -> Response:  # noqa: ARG002 - every page's signature
        endpoint, event = _text(request, "endpoint"), _text(request, "event")
        rows = [r for r in reversed(self._desk.book.records) if endpoint in ("", r.endpoint) and event in ("", r.event)]
        book, found = self._desk.book, page_of(rows, _number(request))
        shown: dict[str, Any] = {"verification": book.verification, "verified_at": book.verified_at, "total": len(book.records)}
        return self._desk.page(
            request, "audit.html", topics="audit", found=found, endpoint=endpoint, event=event, events=_EVENTS, **shown
        )

    async def record(self, request: Request, session: Session) -> Response:  # noqa: ARG002 - every page's signature
        try:
            record = await asyncio.to_thread(self._desk.platform.audit.get, request.path_params["seq"])
        except NotFound:
            return self._desk.message(request, "No such record", "The chain doesn't reach as far.", 404)
        except PlatformError as error:
            return self._desk.message(request, "This record can't be read", str(error), 409)
        facts = json.dumps(record.entry.facts, indent=2, ensure_ascii=False)
        fault = _fault(self._desk.book, record.seq)
        return self._desk.page(request, "record.html", record=record, facts=facts, fault=fault, last=len(self._desk.book.records))


def known_endpoint(request: Request) -> str | None:
    """The endpoint of the path, if it is a name at all."""
    try:
        return _ENDPOINT.validate_python(request.path_params["endpoint"])
    except ValidationError:
        return None


def _fleet(book: Book) -> list[Endpoint]:
    """Those that need somebody first, then by name."""
    return sorted(book.endpoints.values(), key=lambda row: (_urgency(book, row), row.name))


def _urgency(book: Book, row: Endpoint) -> int:
    if _asks(book, row):
        return 0
    return 1 if row.health in ("down", "degraded") or row.paused else 2 if row.stage not in ("idle", "") else 3


def _asks(book: Book, row: Endpoint) -> bool:
    now_open = book.incidents.get(f"{row.name}/{row.incident}")
    return now_open is not None and now_open.for_a_person


def _shown(row: Endpoint, show: str) -> bool:
    return {
        "busy": row.stage not in ("idle", "paused", "unconfigured", ""),
        "paused": row.paused,
        "unwell": row.health in ("down", "degraded"),
    }.get(show, True)


def _counts(book: Book) -> dict[str, Any]:
    rows = list(book.endpoints.values())
    counts = {show: sum(1 for row in rows if _shown(row, show)) for show in ("busy", "paused", "unwell")}
    return {"counts": counts, "asks": {row.name for row in rows if _asks(book, row)}, "open": book.incidents}


def _fault(book: Book, seq: int) -> str:
    faults = book.verification.faults if book.verification else ()
    return "; ".join(fault.what for fault in faults if fault.seq == seq)


def _text(request: Request, name: str) -> str:
    return request.query_params.get(name, "").strip()[:_QUERY]


def _number(request: Request) -> int:
    said = request.query_params.get("page", "1")
    return int(said) if said.isascii() and said.isdigit() and len(said) <= _DIGITS else 1
