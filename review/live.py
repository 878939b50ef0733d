"""Tells open pages that something of theirs changed; they fetch it again themselves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from review.sessions import Session, Sessions

_MOST: Final = 100
_MOST_EACH: Final = 8
_TOPICS: Final = 12
_SETTLE_SECONDS: Final = 0.5
"""Changes that come together are told together."""
_PING_SECONDS: Final = 20


@dataclass(eq=False)
class _Listener:
    session: Session
    topics: frozenset[str]
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._listeners: set[_Listener] = set()
        self._closed = False

    def close(self) -> None:
        """End what is open, so that the server can leave. Called on the event loop."""
        self._closed = True
        for listener in self._listeners:
            listener.woken.set()

    def publish(self, topics: set[str]) -> None:
        """Called on the event loop."""
        for listener in self._listeners:
            if listener.topics & topics:
                listener.woken.set()

    async def serve(self, request: Request) -> Response:
        """GET /events?topics=inbox,fleet: `changed` each time, for as long as the session lasts."""
        session = self._sessions.of(request)
        if session is None:
            return PlainTextResponse("log in first\n", 401)
        mine = sum(1 for listener in self._listeners if listener.session is session)
        if len(self._listeners) >= _MOST or mine >= _MOST_EACH:
            return PlainTextResponse("too many pages are open; this one is not updated by itself\n", 503, {"retry-after": "60"})
        topics = request.query_params.get("topics", "").split(",")[:_TOPICS]
        return EventSourceResponse(self._events(request, _Listener(session, frozenset(topics))), ping=_PING_SECONDS)

    async def _events(self, request: Request, listener: _Listener) -> AsyncIterator[ServerSentEvent]:
        self._listeners.add(listener)
        try:
            yield ServerSentEvent(event="ready", data="", retry=5000)
            while self._sessions.of(request) is listener.session:
                await listener.woken.wait()
                if self._closed:
                    return
                await asyncio.sleep(_SETTLE_SECONDS)
                listener.woken.clear()
                yield ServerSentEvent(event="changed", data="")
        finally:
            self._listeners.discard(listener)
