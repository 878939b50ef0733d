"""Logging in and out."""

import asyncio
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from review.desk import Desk
from review.forms import BadForm, Form, local_path, read_form
from review.guard import PAGE_POLICY
from review.identity import NotAccepted
from review.sessions import Session, same

_TOKEN: Final = 4000

log = structlog.get_logger(__name__)


class Doors:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def login(self, request: Request) -> Response:
        """Shows the ways in. A one-time link leads here, too: it is used up by the form, so that no preview of it does."""
        return await self._page(request)

    async def redeem(self, request: Request) -> Response:
        form = await self._form(request)
        token = form.text("token")[:_TOKEN]
        try:
            login = await asyncio.to_thread(self._desk.vouching.redeem, token)
        except NotAccepted as error:
            log.warning("login_refused", reason=str(error)[:200])
            return await self._page(request, problem=str(error), status=403)
        response = RedirectResponse(local_path(form.text("next")), 303)
        self._desk.sessions.begin(request, response, login)
        log.info("logged_in", subject=login.subject, how=login.how)
        return response

    async def leave_for_issuer(self, request: Request) -> Response:
        form = await self._form(request)
        if self._desk.oidc is None:
            raise BadForm("no login service is set up here", 404)
        browser = self._desk.sessions.browser(request)
        try:
            return RedirectResponse(await self._desk.oidc.begin(browser, local_path(form.text("next"))), 303)
        except NotAccepted as error:
            return await self._page(request, problem=str(error), status=503)

    async def callback(self, request: Request) -> Response:
        """Back from the issuer, in the same browser, for a login that was begun here."""
        if self._desk.oidc is None:
            raise BadForm("no login service is set up here", 404)
        browser = self._desk.sessions.browser(request)
        try:
            login, onward = await self._desk.oidc.end(browser, dict(request.query_params))
        except NotAccepted as error:
            log.warning("login_refused", reason=str(error)[:200])
            return await self._page(request, problem=str(error), status=403)
        response = RedirectResponse(onward, 303)
        self._desk.sessions.begin(request, response, login)
        log.info("logged_in", subject=login.subject, how=login.how)
        return response

    async def logout(self, request: Request, session: Session, form: Form) -> Response:  # noqa: ARG002 - every act's signature
        response = RedirectResponse("/login", 303)
        self._desk.sessions.end(request, response)
        return response

    async def _form(self, request: Request) -> Form:
        form = await read_form(request)
        if not same(form.text("csrf"), self._desk.sessions.form_token(self._desk.sessions.browser(request))):
            raise BadForm("this form is too old, or your browser keeps no cookies; open the page again", 403)
        return form

    async def _page(self, request: Request, *, problem: str = "", status: int = 200) -> Response:
        policy = PAGE_POLICY
        if self._desk.oidc is not None:
            try:
                policy = policy.replace("form-action 'self'", f"form-action 'self' {await self._desk.oidc.origin()}")
            except NotAccepted as error:
                problem = problem or str(error)
        mark = self._desk.sessions.browser(request)
        token = request.query_params.get("token", "")[:_TOKEN]
        onward = local_path(request.query_params.get("next", "/"))
        holder = Response()
        mark = self._desk.sessions.mark(request, holder)
        shown = {"token": token, "onward": onward, "issuer": self._desk.oidc.issuer if self._desk.oidc else ""}
        csrf = self._desk.sessions.form_token(mark)
        page = self._desk.page(request, "login.html", status=status, problem=problem, login=None, csrf=csrf, **shown)
        page.headers["content-security-policy"] = policy
        page.headers["set-cookie"] = holder.headers["set-cookie"]
        return page
