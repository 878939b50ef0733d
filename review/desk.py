"""What all pages share: the book, the ways out, the templates, and how a page is drawn for whoever is logged in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from contracts.review import ReviewPolicy
from platforms.ports import Platform
from review import words
from review.book import Book, Incident
from review.identity import Vouching, may_decide, person_of
from review.loop import Loop
from review.oidc import Oidc
from review.refresh import Refresher
from review.sessions import Login, Session, Sessions
from runtime.settings import Settings

_TEMPLATES: Final = Path(__file__).parent / "templates"


def environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.filters.update(
        {
            "when": words.when,
            "ago": words.ago,
            "age": words.age,
            "plain": words.plain,
            "signed": words.signed,
            "duration": words.duration,
        }
    )
    return found


@dataclass
class Desk:
    settings: Settings
    book: Book
    loop: Loop
    platform: Platform
    refresher: Refresher
    sessions: Sessions
    vouching: Vouching
    oidc: Oidc | None

    def __post_init__(self) -> None:
        self._drawn = environment()

    def page(self, request: Request, template: str, *, status: int = 200, **more: Any) -> HTMLResponse:  # noqa: ANN401 - what a template takes
        """Draw it for whoever is logged in; `more` wins over what every page has."""
        session = self.sessions.of(request)
        context = {
            "login": session.login if session else None,
            "csrf": session.csrf if session else "",
            "path": request.url.path,
            "mine": len(self.mine(session.login)) if session else 0,
            "connected": self.book.connected,
            "topics": "",
            "problem": "",
            "said": "",
            **more,
        }
        return HTMLResponse(self._drawn.get_template(template).render(context), status)

    def message(self, request: Request, title: str, text: str, status: int, headers: dict[str, str] | None = None) -> Response:
        found = self.page(request, "message.html", status=status, title=title, text=text)
        found.headers.update(headers or {})
        return found

    def to_login(self, request: Request) -> Response:
        onward = request.url.path if request.method == "GET" else "/"
        target = "/login" if onward == "/" else f"/login?next={onward}"
        return RedirectResponse(target, 303)

    def session(self, request: Request) -> Session | None:
        return self.sessions.of(request)

    def mine(self, login: Login) -> list[Incident]:
        """What waits for this person, as far as the page can tell."""
        return [row for row in self.book.waiting() if self.may(login, row)]

    def may(self, login: Login, row: Incident) -> bool:
        review = self.review_of(row)
        return may_decide(person_of(login, review), review)

    def review_of(self, row: Incident) -> ReviewPolicy | None:
        """The endpoint's policy now, or the one that the incident began with."""
        known = self.book.endpoints.get(row.endpoint)
        policy = known.status.state.policy if known and known.status else None
        if policy is None and row.request is not None:
            policy = row.request.policy
        return policy.review if policy else None
