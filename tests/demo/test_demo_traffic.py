"""The demo's clients count every row that got no good answer."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import uvicorn
from demo_stories import hours
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo.traffic import ROWS_PER_CALL, Clients

Endpoint = Callable[[Request], Awaitable[Response]]


@asynccontextmanager
async def serving(endpoint: Endpoint) -> AsyncIterator[str]:
    """A real endpoint on a real socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=[Route("/predict", endpoint, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


async def answer(request: Request) -> Response:
    """Scores an hour by its number, so that order shows."""
    asked = json.loads(await request.body())["requests"]
    return JSONResponse(
        {"model": "m", "answers": [{"id": r["id"], "score": r["features"]["hour"] / 100, "label": 0} for r in asked]}
    )


async def test_answers_come_back_in_the_order_of_the_hours() -> None:
    asked = hours(50)
    async with serving(answer) as url, Clients(url) as clients:
        served = await clients.ask(asked)
    assert np.allclose(served.score, asked.features[:, 0] / 100)
    assert set(served.model) == {"m"}
    assert served.failed == 0


async def test_a_refused_call_fails_its_rows_and_is_not_sent_again() -> None:
    calls = 0

    async def sometimes(request: Request) -> Response:
        nonlocal calls
        calls += 1
        return Response("busy", status_code=503) if calls == 2 else await answer(request)

    async with serving(sometimes) as url, Clients(url) as clients:
        served = await clients.ask(hours(4 * ROWS_PER_CALL))
    assert calls == 4
    assert served.failed == ROWS_PER_CALL
    assert "503" in served.failures[0]


async def test_answers_to_other_rows_count_as_failed() -> None:
    async def wrong(request: Request) -> Response:
        asked = json.loads(await request.body())["requests"]
        return JSONResponse({"model": "m", "answers": [{"id": "another", "score": 0.5, "label": 1} for _ in asked]})

    async with serving(wrong) as url, Clients(url) as clients:
        assert (await clients.ask(hours(3))).failed == 3


async def test_an_answer_that_cannot_be_read_counts_as_failed() -> None:
    async def garbled(_: Request) -> Response:
        return Response("<html>")

    async with serving(garbled) as url, Clients(url) as clients:
        assert (await clients.ask(hours(3))).failed == 3


async def test_an_endpoint_that_is_not_there_counts_as_failed() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    async with Clients(f"http://127.0.0.1:{port}") as clients:
        assert (await clients.ask(hours(2))).failed == 2
