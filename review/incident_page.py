"""One incident's page, for somebody who has logged in and for somebody who came by a notice's link."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from contracts.audit import AuditRecord
from contracts.vouching import Link
from platforms.errors import PlatformError
from review import story
from review.book import Incident
from review.desk import Desk
from review.identity import person_of
from review.sessions import Login

_RECORDS: Final = 40

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Answer:
    """What was typed before, and why it did not count."""

    problem: str = ""
    note: str = ""
    status: int = 200
    only_if: str = ""


class IncidentPage:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def shown(
        self, request: Request, login: Login, *, answer: Answer = Answer(), link: Link | None = None, token: str = ""
    ) -> Response:
        endpoint = link.endpoint if link else request.path_params["endpoint"]
        incident = link.incident if link else request.path_params["incident"]
        row = await self._row(endpoint, incident)
        if row is None:
            return self._desk.message(request, "No such incident", "Nothing is known of an incident of this name.", 404)
        records, names = await asyncio.to_thread(self._kept, row)
        told = story.tell(row, records)
        person = person_of(login, self._desk.review_of(row))
        context = {"row": row, "story": told, "bars": _bars(told), "person": person, "may": self._desk.may(login, row)}
        context |= {"report": _report(told, names), "files": names, "answer": answer, "link": link, "token": token}
        context |= {"review": self._desk.review_of(row), "said": request.query_params.get("said", "")[:40]}
        return self._desk.page(
            request,
            "incident.html",
            status=answer.status,
            topics=row.name,
            problem=answer.problem,
            **self._who(link, login),
            **context,
        )

    def _who(self, link: Link | None, login: Login) -> dict[str, Any]:
        """Whoever came by a link is nobody on the other pages."""
        return {} if link is None else {"login": login, "csrf": ""}

    async def _row(self, endpoint: str, incident: str) -> Incident | None:
        known = self._desk.book.incidents.get(f"{endpoint}/{incident}")
        if known is None or known.open:
            return await self._desk.refresher.look_incident(endpoint, incident) or known
        return known

    def _kept(self, row: Incident) -> tuple[list[AuditRecord], list[str]]:
        records = []
        for seq in row.records[-_RECORDS:]:
            try:
                records.append(self._desk.platform.audit.get(seq))
            except PlatformError as error:
                log.warning("record_unreadable", seq=seq, reason=str(error)[:200])
        try:
            return records, list(self._desk.platform.evidence.names(row.endpoint, row.id))
        except PlatformError as error:
            log.warning("evidence_unreadable", incident=row.name, reason=str(error)[:200])
            return records, []


def _bars(told: story.Story) -> dict[str, story.Bar]:
    return {one.metric: story.bar(one) for one in told.judgement.comparisons} if told.judgement else {}


def _report(told: story.Story, names: list[str]) -> str:
    """The report of the evidence that is decided on; its name begins with the evidence's digest."""
    digest = told.judgement.evidence if told.judgement else ""
    found = f"{digest[:16]}-report.html"
    return found if found in names else ""
