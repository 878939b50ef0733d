"""The HTTP face of an endpoint: `POST /predict`, `GET /health`, `GET /metrics`."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from json import dumps
from time import perf_counter
from typing import Self

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from learning.artifact import Model
from platforms.errors import PlatformError
from platforms.local.capture import CapturedRow, CaptureWriter
from platforms.local.serving_state import InstanceState
from platforms.local.tally import Tally, prometheus
from platforms.tabular.answer import Answer, answers, told
from platforms.tabular.predict_request import MAX_BODY_BYTES, PredictRow, Refused, parse_body, to_matrix

_BODY_SECONDS = 10.0
_log = structlog.get_logger()


@dataclass(frozen=True)
class InService:
    """The model that answers, with its threshold: replaced as one, so that no answer mixes two."""

    model: Model
    threshold: float

    @classmethod
    def of(cls, model: Model, deployed: float) -> Self:
        """A threshold belongs to its artifact; the deployment's counts for one that has none."""
        return cls(model, deployed if model.threshold is None else model.threshold)


class PredictService:
    """Answers the calls of one instance. `in_service` may be replaced at any moment between two calls."""

    def __init__(self, endpoint: str, capture: CaptureWriter, status: Callable[[], InstanceState]) -> None:
        self.endpoint = endpoint
        self.in_service: InService | None = None
        self.draining = False
        self.tally = Tally()
        self.peers: Callable[[], Sequence[InstanceState]] = tuple
        self._capture = capture
        self._capturing = True
        self._status = status

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/predict", self.predict, methods=["POST"]),
                Route("/health", self.health, methods=["GET"]),
                Route("/metrics", self.metrics, methods=["GET"]),
            ]
        )

    async def predict(self, request: Request) -> Response:
        """Score the rows, capture the answers, then answer."""
        started = perf_counter()
        status, rows, digest = 500, 0, ""
        try:
            parsed = parse_body(await _read_body(request))
            serving = self._serving()
            digest = serving.model.digest
            content = self._answer(serving, parsed)
            status, rows = 200, len(parsed)
            return self._respond(status, content)
        except Refused as refused:
            status = refused.status
            return self._respond(status, _refusal(refused))
        except PlatformError as error:
            _log.exception("predict_failed", endpoint=self.endpoint)
            return self._respond(status, _json({"error": str(error)}))
        finally:
            self.tally.add(status=status, digest=digest, rows=rows, seconds=perf_counter() - started)

    async def health(self, _request: Request) -> Response:
        """200 with what is in service, 503 while nothing is."""
        status = self._status()
        return self._respond(200 if self.in_service else 503, status.model_dump_json().encode())

    async def metrics(self, _request: Request) -> Response:
        """Counters of every instance of the endpoint, whichever of them is asked."""
        text = prometheus(self.endpoint, [self._status(), *self.peers()])
        return self._respond(200, text.encode(), "text/plain; version=0.0.4; charset=utf-8")

    def _serving(self) -> InService:
        if self.in_service is None:
            raise Refused(
                503, f"endpoint {self.endpoint} has no model in service yet: {self._status().failure or 'try again soon'}"
            )
        return self.in_service

    def _answer(self, serving: InService, rows: Sequence[PredictRow]) -> bytes:
        model = serving.model
        found = answers(model, to_matrix(rows, model.features), serving.threshold)
        self._keep(serving, rows, found)
        said = [told(row.id, answer, model.classes) for row, answer in zip(rows, found, strict=True)]
        return _json({"model": model.digest, "answers": said})

    def _keep(self, serving: InService, rows: Sequence[PredictRow], found: Sequence[Answer]) -> None:
        """Capture the answers before they leave. A full disk doesn't stop the endpoint; it is counted and told."""
        now = datetime.now(UTC)
        captured = [
            CapturedRow.model_construct(
                id=row.id,
                event_time=row.event_time,
                served_at=now,
                digest=serving.model.digest,
                score=answer.score,
                answer=answer.label,
                scores=answer.scores,
                features=row.features,
            )
            for row, answer in zip(rows, found, strict=True)
        ]
        try:
            self._capture.append(captured)
            self._capturing = True
        except (PlatformError, OSError) as error:
            self.tally.uncaptured += len(captured)
            if self._capturing:
                _log.error("answers_not_captured", endpoint=self.endpoint, reason=str(error))
            self._capturing = False

    def _respond(self, status: int, content: bytes, media: str = "application/json") -> Response:
        """While the instance drains, every answer asks the caller to connect anew, which reaches another instance."""
        return Response(content, status, {"connection": "close"} if self.draining else None, media)


async def _read_body(request: Request) -> bytes:
    """The body, bounded in size and time before anything looks at it. Raises: Refused."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise Refused(413, f"the body is over {MAX_BODY_BYTES} bytes: send fewer rows in a call")
                chunks.append(chunk)
    except TimeoutError:
        raise Refused(408, f"the body did not arrive within {_BODY_SECONDS:g} s") from None
    except ClientDisconnect:
        raise Refused(400, "the caller went away before the body was complete") from None
    return b"".join(chunks)


def _refusal(refused: Refused) -> bytes:
    return _json({"error": refused.error, "fields": [asdict(fault) for fault in refused.faults]})


def _json(value: object) -> bytes:
    return dumps(value, separators=(",", ":")).encode()
