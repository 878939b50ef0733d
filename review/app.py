"""Puts the page together: which path is whose, and what stands before them."""

from dataclasses import dataclass

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from review.acts import Acts
from review.desk import Desk
from review.doors import Doors
from review.files import Files
from review.forms import BadForm
from review.guard import Guard
from review.incident_page import IncidentPage
from review.live import Hub
from review.pages import Pages
from review.sessions import Login, Session
from runtime.http_server import own_hosts

log = structlog.get_logger(__name__)


def build_app(desk: Desk) -> Starlette:
    found = _Routes(desk)
    settings = desk.settings
    app = Starlette(
        routes=found.all(),
        middleware=[
            Middleware(Guard, settings=settings),
            Middleware(
                TrustedHostMiddleware, allowed_hosts=own_hosts(settings.review_host, settings.review_url), www_redirect=False
            ),
        ],
        exception_handlers={BadForm: found.bad_form, HTTPException: found.http_error, Exception: found.unexpected},
    )
    app.state.hub = found.hub
    return app


@dataclass
class _Routes:
    desk: Desk

    def __post_init__(self) -> None:
        self.pages = Pages(self.desk)
        self.acts = Acts(self.desk, self.pages)
        self.doors = Doors(self.desk)
        self.files = Files(self.desk)
        self.hub = Hub(self.desk.sessions)
        self.desk.book.changed = self.hub.publish

    def all(self) -> list[BaseRoute]:
        return [*self._looks(), *self._acts(), *self._doors()]

    def _looks(self) -> list[BaseRoute]:
        pages, shown = self.pages, self.pages.behind_login
        return [
            Route("/", shown(pages.inbox)),
            Route("/fleet", shown(pages.fleet)),
            Route("/incidents", shown(pages.incidents)),
            Route("/endpoint/{endpoint}", shown(pages.endpoint)),
            Route("/endpoint/{endpoint}/incident/{incident}", shown(pages.incident)),
            Route("/audit", shown(pages.audit)),
            Route("/audit/{seq:int}", shown(pages.record)),
            Route("/evidence/{endpoint}/{incident}/{name}", shown(self._evidence)),
            Route("/events", self.hub.serve),
        ]

    def _acts(self) -> list[BaseRoute]:
        acts, form = self.acts, self.acts.with_form
        return [
            Route("/endpoint/{endpoint}/incident/{incident}/decide", form(acts.decide), methods=["POST"]),
            Route("/endpoint/{endpoint}/rollback", form(acts.roll_back), methods=["POST"]),
            Route("/endpoint/{endpoint}/pause", form(acts.pause), methods=["POST"]),
            Route("/endpoint/{endpoint}/resume", form(acts.resume), methods=["POST"]),
            Route("/audit/verify", form(acts.verify), methods=["POST"]),
            Route("/link/decide", acts.decide_by_link, methods=["POST"]),
            Route("/logout", form(self.doors.logout), methods=["POST"]),
        ]

    def _doors(self) -> list[BaseRoute]:
        return [
            Route("/login", self.doors.login),
            Route("/login", self.doors.redeem, methods=["POST"]),
            Route("/login/issuer", self.doors.leave_for_issuer, methods=["POST"]),
            Route("/login/callback", self.doors.callback),
            Route("/link", self._link),
            Route("/link/evidence/{name}", self._link_evidence),
            Route("/static/{name}", self.files.static),
            Route("/health", self._health),
        ]

    async def _evidence(self, request: Request, session: Session) -> Response:  # noqa: ARG002 - every page's signature
        given = request.path_params
        return await self.files.evidence(given["endpoint"], given["incident"], given["name"])

    async def _link(self, request: Request) -> Response:
        """A notice's link shows the review; only the form on it decides."""
        token = request.query_params.get("token", "")
        link = await self.acts.read_link(token)
        login = Login(link.person, "link in a notice")
        return await IncidentPage(self.desk).shown(request, login, link=link, token=token)

    async def _link_evidence(self, request: Request) -> Response:
        link = await self.acts.read_link(request.query_params.get("token", ""))
        return await self.files.evidence(link.endpoint, link.incident, request.path_params["name"])

    async def _health(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        if self.desk.book.connected:
            return JSONResponse({"status": "ok", "temporal": "serving"})
        return JSONResponse({"status": "degraded", "temporal": "unreachable"}, 503)

    async def bad_form(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, BadForm)
        return self.desk.message(request, "That did not work", str(error), error.status)

    async def http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = "There is no such page." if error.status_code == 404 else error.detail  # noqa: PLR2004 - HTTP's own number
        return self.desk.message(request, "Not here", text, error.status_code, dict(error.headers or {}))

    async def unexpected(self, request: Request, error: Exception) -> Response:
        log.error("page_failed", path=request.url.path, error=repr(error))
        return self.desk.message(request, "The page failed", "Nothing was changed by it. Its log says more.", 500)
