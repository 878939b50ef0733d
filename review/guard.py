"""What stands before every page: sizes, origins, rates, and headers that keep a browser from turning against its user."""

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from review.limits import Limit
from runtime.http_server import is_loopback
from runtime.settings import Settings

MAX_BODY: Final = 64 * 1024
MAX_URL: Final = 8 * 1024
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
_ANYBODY: Final = "everybody"


class Guard:
    """An ASGI layer: what passes is bounded in size and, where it changes something, comes from our own page and is no flood."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._https = settings.review_url.startswith("https://")
        self._origins = origins(settings)
        self._changes = Limit(burst=30, per_minute=30)
        self._logins = Limit(burst=10, per_minute=10)
        self._all_logins = Limit(burst=100, per_minute=100)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, self._with_headers(send))
            return
        await self._app(scope, _bounded(receive), self._with_headers(send))

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_URL:
            return PlainTextResponse("the address is too long\n", 414)
        if not headers.get("content-length", "0").isdigit() or int(headers.get("content-length", "0")) > MAX_BODY:
            return PlainTextResponse(f"a form holds {MAX_BODY} bytes at most\n", 413)
        if scope["method"] in ("GET", "HEAD"):
            return None
        if headers.get("origin") not in self._origins:
            return PlainTextResponse("this form was not sent from the review page itself\n", 403)
        return self._too_often(scope)

    def _too_often(self, scope: Scope) -> PlainTextResponse | None:
        """Each sender by its address; logins also all together, since a forger has many addresses."""
        sender = scope["client"][0] if scope.get("client") else ""
        login = scope["path"].startswith("/login")
        seconds = self._logins.wait(sender) or self._all_logins.wait(_ANYBODY) if login else self._changes.wait(sender)
        if not seconds:
            return None
        return PlainTextResponse(f"too often; try again in {seconds} s\n", 429, {"retry-after": str(seconds)})

    def _with_headers(self, send: Send) -> Send:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._https:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        return guarded


class TooLarge(Exception):
    """A body that claimed to be shorter than it is, or claimed nothing."""


def _bounded(receive: Receive) -> Receive:
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY:
            raise TooLarge
        return message

    return bounded


def origins(settings: Settings) -> frozenset[str]:
    """From where a form may come: the page's own address and, on loopback, its other names."""
    url = urlsplit(settings.review_url)
    found = {f"{url.scheme}://{url.netloc}"}
    if is_loopback(settings.review_host) and url.scheme == "http":
        found |= {f"http://{name}:{url.port or 80}" for name in ("127.0.0.1", "localhost")}
    return frozenset(found)
