"""The bridge's HTTP face: alarms in, evidence out, health."""

import asyncio
import hmac

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.answers import Result, Told, failure, reply, results
from bridge.evidence import EvidenceFiles
from bridge.formats import items_from
from bridge.forward import Forwarder, TemporalDown, UnknownEndpoint
from bridge.items import HEAD, BodyError, Ended, Ignored, Item, Refused, Understood
from bridge.reading import MAX_BYTES, too_large
from bridge.rejected import RejectedLog, Rejection
from runtime.http_server import own_hosts
from runtime.settings import Settings
from runtime.wiring import evidence_from

BODY_SECONDS = 10.0
RETRY_AFTER_SECONDS = 5
_UNKNOWN = "is looked after here; name it in the fleet file and run `python starter.py apply fleet.yaml`"

log = structlog.get_logger(__name__)


def build_app(settings: Settings, forwarder: Forwarder) -> Starlette:
    intake = Intake(settings, forwarder)
    return Starlette(
        routes=[
            Route("/alarms", intake.alarms, methods=["POST"]),
            Route("/health", intake.health, methods=["GET"]),
            Route("/evidence/{endpoint}/{incident}/{name}", EvidenceFiles(evidence_from(settings)).serve, methods=["GET"]),
        ],
        middleware=[
            Middleware(
                TrustedHostMiddleware, allowed_hosts=own_hosts(settings.bridge_host, settings.bridge_url), www_redirect=False
            )
        ],
        exception_handlers={HTTPException: _http_error, Exception: _unexpected},
    )


class Intake:
    """Takes bodies of alarms: all are judged, each is forwarded or refused with its reason, none vanishes."""

    def __init__(self, settings: Settings, forwarder: Forwarder) -> None:
        self._token = settings.bridge_token
        self._forwarder = forwarder
        self._rejected = RejectedLog(settings.home)

    async def alarms(self, request: Request) -> Response:
        if not self._allowed(request):
            log.warning("alarm_unauthorized", sender=_sender(request))
            return failure(401, "send the bridge's token: Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})
        body = b""
        try:
            body = await _body(request)
            items = items_from(request.headers, body)
        except BodyError as error:
            head = (error.received or body)[:HEAD].decode("utf-8", "replace")
            await self._rejected.append([_rejection(request, error.reason, head)])
            return failure(error.status, error.reason)
        try:
            told = [await self._take(index, item, request.headers.get("traceparent")) for index, item in enumerate(items)]
        except TemporalDown as error:
            log.warning("temporal_down", reason=str(error))
            remedy = f"Temporal did not take the alarms ({error}); nothing is acknowledged, send the whole body again"
            return failure(503, remedy, {"retry-after": str(RETRY_AFTER_SECONDS)})
        await self._rejected.append(_rejections(request, items, told))
        return results(told)

    async def health(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        if await self._forwarder.healthy():
            return reply(200, {"status": "ok", "temporal": "serving"})
        return reply(
            503,
            {
                "status": "degraded",
                "temporal": "unreachable",
                "remedy": "start Temporal with `make up`; alarms get 503 until then",
            },
        )

    async def _take(self, index: int, item: Item, traceparent: str | None) -> Told:
        if isinstance(item, Refused):
            return Told(index, Result.REFUSED, reason=item.reason)
        if isinstance(item, Ignored):
            return Told(index, Result.IGNORED, item.id, item.endpoint, item.reason)
        ended = isinstance(item, Ended)
        told = item.cleared if isinstance(item, Ended) else item.alarm
        try:
            await (
                self._forwarder.clear(item.cleared) if isinstance(item, Ended) else self._forwarder.send(item.alarm, traceparent)
            )
        except UnknownEndpoint:
            return Told(index, Result.UNKNOWN_ENDPOINT, told.id, told.endpoint, f"no endpoint {told.endpoint!r} {_UNKNOWN}")
        return Told(index, Result.CLEARED if ended else Result.ACCEPTED, told.id, told.endpoint)

    def _allowed(self, request: Request) -> bool:
        if self._token is None:
            return True
        wanted = f"Bearer {self._token.get_secret_value()}".encode()
        return hmac.compare_digest(request.headers.get("authorization", "").encode("latin-1"), wanted)


async def _body(request: Request) -> bytes:
    if request.headers.get("content-encoding", "identity") != "identity":
        raise BodyError(415, "Content-Encoding: send the body uncompressed")
    received = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                received += chunk
                if len(received) > MAX_BYTES:
                    raise too_large(bytes(received))
    except TimeoutError:
        raise BodyError(408, f"the body did not arrive within {BODY_SECONDS:g} s", bytes(received)) from None
    except ClientDisconnect:
        raise BodyError(400, "the sender went away in the middle of the body", bytes(received)) from None
    return bytes(received)


def _rejections(request: Request, items: list[Item], told: list[Told]) -> list[Rejection]:
    kept = []
    for item, one in zip(items, told, strict=True):
        if isinstance(item, Refused):
            kept.append(_rejection(request, item.reason, item.head))
        elif one.result is Result.UNKNOWN_ENDPOINT and isinstance(item, Understood):
            kept.append(_rejection(request, one.reason, item.alarm.model_dump_json()[:HEAD]))
    return kept


def _rejection(request: Request, reason: str, head: str) -> Rejection:
    return Rejection(reason, head, _sender(request), request.headers.get("content-type", "")[:200])


def _sender(request: Request) -> str:
    return request.client.host if request.client else "unknown"


async def _http_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler's signature
    assert isinstance(error, HTTPException)
    remedy = "; there is POST /alarms, GET /health, GET /evidence/ENDPOINT/INCIDENT/FILE"
    return failure(error.status_code, f"{error.detail}{remedy}", error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("bridge_failed", path=request.url.path, error=repr(error))
    return failure(500, "the bridge failed; nothing is acknowledged, its log says more")
