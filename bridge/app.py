"""The bridge's HTTP face: alarms in, evidence out, health."""

import asyncio
import hmac
from dataclasses import dataclass

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.answers import failure, reply, results
from bridge.evidence import EvidenceFiles
from bridge.formats import items_from
from bridge.forward import TemporalDown
from bridge.items import HEAD, BodyError
from bridge.reading import MAX_BYTES, too_large
from bridge.rejected import RejectedLog, Rejection
from bridge.sqs import Consumers
from bridge.taking import Taking, rejections
from platforms.errors import PlatformError
from runtime.http_server import own_hosts
from runtime.settings import Settings
from runtime.wiring import evidence_from

BODY_SECONDS = 10.0
RETRY_AFTER_SECONDS = 5

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Bridge:
    """What the page is the face of."""

    taking: Taking
    consumers: Consumers | None = None
    takes_posts: bool = True


def build_app(settings: Settings, bridge: Bridge) -> Starlette:
    intake = Intake(settings, bridge)
    posts = [Route("/alarms", intake.alarms, methods=["POST"])] if bridge.takes_posts else []
    return Starlette(
        routes=[
            *posts,
            Route("/health", intake.health, methods=["GET"]),
            Route("/metrics", intake.metrics, methods=["GET"]),
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

    def __init__(self, settings: Settings, bridge: Bridge) -> None:
        self._token = settings.bridge_token
        self._taking = bridge.taking
        self._consumers = bridge.consumers
        self._rejected = RejectedLog(settings.home)

    async def alarms(self, request: Request) -> Response:
        if not self._allowed(request):
            log.warning("alarm_unauthorized", sender=_sender(request))
            return failure(401, "send the bridge's token: Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})
        body = b""
        sender, content = _sender(request), request.headers.get("content-type", "")[:200]
        try:
            body = await _body(request)
            items = items_from(request.headers, body, self._taking.routes())
        except BodyError as error:
            head = (error.received or body)[:HEAD].decode("utf-8", "replace")
            await self._rejected.append([Rejection(error.reason, head, sender, content)])
            return failure(error.status, error.reason)
        try:
            told = await self._taking.take(items, source="http", traceparent=request.headers.get("traceparent"))
        except TemporalDown as error:
            log.warning("temporal_down", reason=str(error))
            remedy = f"Temporal did not take the alarms ({error}); nothing is acknowledged, send the whole body again"
            return failure(503, remedy, {"retry-after": str(RETRY_AFTER_SECONDS)})
        except PlatformError as error:
            log.warning("report_not_read", reason=str(error))
            return failure(503, f"{error}; nothing is acknowledged, send the whole body again")
        await self._rejected.append(rejections(items, told, sender=sender, content_type=content))
        return results(told)

    async def health(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        queue = {"queue": await self._consumers.state()} if self._consumers else {}
        if not await self._taking.forwarder.healthy():
            remedy = "start Temporal with `make up`; alarms get 503 until then"
            return reply(503, {"status": "degraded", "temporal": "unreachable", "remedy": remedy, **queue})
        if queue and queue["queue"]["status"] == "unreachable":
            remedy = "check the queue's address, the credentials and the rights of the bridge's role"
            return reply(503, {"status": "degraded", "temporal": "serving", "remedy": remedy, **queue})
        return reply(200, {"status": "ok", "temporal": "serving", **queue})

    async def metrics(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        return Response(self._taking.counters.text(), media_type="text/plain; version=0.0.4")

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


def _sender(request: Request) -> str:
    return request.client.host if request.client else "unknown"


async def _http_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler's signature
    assert isinstance(error, HTTPException)
    remedy = "; there is POST /alarms, GET /health, GET /metrics, GET /evidence/ENDPOINT/INCIDENT/FILE"
    return failure(error.status_code, f"{error.detail}{remedy}", error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("bridge_failed", path=request.url.path, error=repr(error))
    return failure(500, "the bridge failed; nothing is acknowledged, its log says more")
