"""What a person can do here: decide, roll back, pause, resume, check the chain. Each is a form, told to the loop once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from contracts.incident import PauseRequest, ResumeRequest, RollbackRequest
from contracts.review import Decision, Resolution, ReviewOutcome
from contracts.vouching import Link
from platforms.errors import PlatformError
from review.desk import Desk
from review.forms import BadForm, Form, read_form
from review.identity import NotAccepted, person_of
from review.incident_page import Answer, IncidentPage
from review.loop import Gone, Refused, Silent
from review.pages import Pages, known_endpoint
from review.sessions import Login, Session, same

_NOTE: Final = 2000
_REMEDY: Final = {
    "AlreadyDecided": "Somebody decided before you; the story below says who.",
    "EvidenceChanged": "The evidence has changed since this page was drawn. Read it again, then decide.",
    "NotAnApprover": "The fleet file lets others decide about this endpoint.",
    "NotWaiting": "Nothing waits for a decision here any more.",
}

log = structlog.get_logger(__name__)


class Acts:
    def __init__(self, desk: Desk, pages: Pages) -> None:
        self._desk = desk
        self._pages = pages
        self._incident = IncidentPage(desk)

    def with_form(self, act: Callable[[Request, Session, Form], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Only with a session and with that session's form."""

        async def acted(request: Request) -> Response:
            session = self._desk.session(request)
            if session is None:
                return self._desk.to_login(request)
            form = await read_form(request)
            if not same(form.text("csrf"), session.csrf):
                raise BadForm("this form belongs to another login; open the page again", 403)
            return await act(request, session, form)

        return acted

    async def decide(self, request: Request, session: Session, form: Form) -> Response:
        endpoint, incident = request.path_params["endpoint"], request.path_params["incident"]
        told = await self._decision(endpoint, incident, session.login, form)
        if isinstance(told, Answer):
            return await self._incident.shown(request, session.login, answer=told)
        return RedirectResponse(f"/endpoint/{endpoint}/incident/{incident}?said={told.resolution.value}", 303)

    async def decide_by_link(self, request: Request) -> Response:
        """The link is the login, for this one review and no other page."""
        form = await read_form(request)
        token = form.text("token")
        link = await self.read_link(token)
        login = Login(link.person, "link in a notice")
        told = await self._decision(link.endpoint, link.incident, login, form, link)
        if isinstance(told, Answer):
            return await self._incident.shown(request, login, answer=told, link=link, token=token)
        said = _said(told)
        return self._desk.message(request, said, "Your decision is recorded. You can close this page.", 200)

    async def read_link(self, token: str) -> Link:
        """Raises: BadForm."""
        try:
            return await asyncio.to_thread(self._desk.vouching.read_link, token)
        except NotAccepted as error:
            raise BadForm(str(error), 403) from error

    async def _decision(
        self, endpoint: str, incident: str, login: Login, form: Form, link: Link | None = None
    ) -> ReviewOutcome | Answer:
        note = form.text("note")
        try:
            decision = self._read(endpoint, incident, login, form, link)
            vouched = await asyncio.to_thread(self._desk.vouching.vouch, endpoint, incident, decision, login)
            outcome = await self._desk.loop.decide(endpoint, incident, vouched)
        except BadForm as bad:
            return Answer(str(bad), note, bad.status, form.text("only_if"))
        except Refused as refused:
            return Answer(f"{refused}. {_REMEDY.get(refused.kind, '')}".replace("..", ".").strip(), note, 409)
        except (NotAccepted, PlatformError) as error:
            return Answer(str(error), note, 409)
        except Gone:
            return Answer("This incident has ended; there is nothing left to decide.", note, 409)
        except Silent:
            return Answer(
                "Nobody answered in time. Your decision may still be carried out: look again before you repeat it.", note, 503
            )
        log.info("decided_on_page", endpoint=endpoint, incident=incident, approve=decision.approve, reviewer=decision.reviewer)
        await self._desk.refresher.ask_incident(endpoint, incident)
        return outcome

    def _read(self, endpoint: str, incident: str, login: Login, form: Form, link: Link | None) -> Decision:
        answer, note, evidence = form.text("answer"), form.text("note"), form.text("evidence")
        if answer not in ("approve", "reject"):
            raise BadForm("Say whether you approve or reject.")
        if answer == "reject" and not note:
            raise BadForm("Say in the note why you reject: whoever raised this wants to know.", 422)
        if len(note) > _NOTE:
            raise BadForm(f"The note is longer than {_NOTE} characters.", 422)
        if link is not None and evidence != link.evidence:
            raise BadForm("The link was sent for other evidence; open the newest notice.", 409)
        row = self._desk.book.incidents.get(f"{endpoint}/{incident}")
        reviewer = person_of(login, self._desk.review_of(row) if row else None)
        try:
            return Decision(
                approve=answer == "approve", reviewer=reviewer, note=note, evidence=evidence or None, only_if=_conditions(form)
            )
        except ValidationError as error:
            raise BadForm(_wrong(error), 422) from None

    async def roll_back(self, request: Request, session: Session, form: Form) -> Response:
        async def told(endpoint: str, by: str, reason: str) -> None:
            await self._desk.loop.roll_back(endpoint, RollbackRequest(by=by, reason=reason))

        return await self._operate(request, session, form, told, "rolling-back")

    async def pause(self, request: Request, session: Session, form: Form) -> Response:
        async def told(endpoint: str, by: str, reason: str) -> None:
            await self._desk.loop.hold(endpoint, PauseRequest(by=by, reason=reason))

        return await self._operate(request, session, form, told, "paused")

    async def resume(self, request: Request, session: Session, form: Form) -> Response:
        async def told(endpoint: str, by: str, reason: str) -> None:
            await self._desk.loop.hold(endpoint, ResumeRequest(by=by, reason=reason))

        return await self._operate(request, session, form, told, "resumed", wants_reason=False)

    async def _operate(
        self,
        request: Request,
        session: Session,
        form: Form,
        told: Callable[[str, str, str], Awaitable[None]],
        said: str,
        *,
        wants_reason: bool = True,
    ) -> Response:
        endpoint, reason = known_endpoint(request), form.text("reason")[:_NOTE]
        if endpoint is None or endpoint not in self._desk.book.endpoints:
            return self._desk.message(request, "No such endpoint", "Nothing of this name runs.", 404)
        if wants_reason and not reason:
            return await self._again(request, session, "Say why: it goes into the record.", 422)
        try:
            await told(endpoint, session.login.subject[:200], reason)
        except Refused as refused:
            return await self._again(request, session, str(refused), 409)
        except Gone:
            return await self._again(request, session, "This endpoint's lifecycle doesn't run any more.", 409)
        except Silent:
            return await self._again(request, session, "Nobody answered in time. It may still be carried out.", 503)
        log.info("operated_on_page", endpoint=endpoint, act=said, by=session.login.subject)
        return RedirectResponse(f"/endpoint/{endpoint}?said={said}", 303)

    async def _again(self, request: Request, session: Session, problem: str, status: int) -> Response:
        return await self._pages.endpoint_page(request, session, problem=problem, status=status)

    async def verify(self, request: Request, session: Session, form: Form) -> Response:  # noqa: ARG002 - every act's signature
        try:
            await self._desk.refresher.verify()
        except PlatformError as error:
            return self._desk.message(request, "The chain can't be checked", str(error), 503)
        return RedirectResponse("/audit", 303)


def _conditions(form: Form) -> tuple[str, ...]:
    """One a line. A rejection has none, whatever stands in the field."""
    lines = (line.strip() for line in form.text("only_if").splitlines())
    return tuple(line for line in lines if line) if form.text("answer") == "approve" else ()


def _wrong(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = "Only if" if "only_if" in first["loc"] else str(first["loc"][0] if first["loc"] else "The form")
    return f"{where}: {first['msg'].removeprefix('Value error, ')}."


def _said(outcome: ReviewOutcome) -> str:
    return {Resolution.APPROVED: "Approved", Resolution.REJECTED: "Rejected"}.get(
        outcome.resolution, "Counted; more people have to approve"
    )
