"""How fast the review page answers over HTTP, with a fleet of any size behind it, while it follows that fleet.

python -m bench.review_page [--endpoints 500] [--incidents 5000] [--requests 300] [--json]
"""

import argparse
import asyncio
import http.client
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from bench.generated_fleet import GeneratedLoop, write_chain, write_manifests
from bench.printed import printed
from contracts.review import Decision
from contracts.vouching import Link
from review.app import build_app
from review.book import Book
from review.desk import Desk
from review.identity import NotAccepted
from review.refresh import Refresher
from review.sessions import Login, Sessions
from runtime.http_server import config, listen
from runtime.settings import Settings
from runtime.wiring import platform_from

REVIEWER = "anna"
_START_SECONDS = 600.0


@dataclass(frozen=True)
class NobodyVouches:
    """The bench logs in by itself and decides nothing."""

    def redeem(self, token: str) -> Login:
        raise NotAccepted(token)

    def read_link(self, token: str) -> Link:
        raise NotAccepted(token)

    def vouch(self, endpoint: str, incident: str, decision: Decision, login: Login) -> Decision:  # noqa: ARG002 - as the page asks
        return decision


@dataclass(frozen=True)
class Served:
    port: int
    cookie: str
    book: Book
    following_seconds: float
    """Until the whole chain had been read."""


def desk_for(settings: Settings, loop: GeneratedLoop) -> Desk:
    platform, book = platform_from(settings), Book()
    return Desk(settings, book, loop, platform, Refresher(book, loop, platform), Sessions(secure=False), NobodyVouches(), None)


def logged_in(desk: Desk) -> str:
    """The cookie of a session, as a login sets it."""
    response = Response()
    desk.sessions.begin(Request({"type": "http", "headers": []}), response, Login(REVIEWER, "bench"))
    return response.headers["set-cookie"].partition(";")[0]


@contextmanager
def served(home: Path, endpoints: int, incidents: int) -> Iterator[Served]:
    settings = Settings(home=home)
    loop = GeneratedLoop(size=endpoints)
    write_chain(home, settings.anchor_dir, list(loop.statuses), incidents)
    write_manifests(home, list(loop.statuses))
    desk = desk_for(settings, loop)
    with listen("127.0.0.1", 0, who="the bench", setting="HOMEOSTAT_REVIEW") as taken:
        web = uvicorn.Server(config(build_app(desk), grace_seconds=1))
        thread = threading.Thread(target=lambda: asyncio.run(_serve(desk, web.serve, taken)), daemon=True)
        began = time.monotonic()
        thread.start()
        while len(desk.book.records) < 2 * incidents or len(desk.book.endpoints) < endpoints:
            if not thread.is_alive() or time.monotonic() - began > _START_SECONDS:
                raise RuntimeError("the page did not read the chain in time")
            time.sleep(0.05)
        yield Served(taken.getsockname()[1], logged_in(desk), desk.book, time.monotonic() - began)
        web.should_exit = True
        thread.join()


async def _serve(desk: Desk, serve: Callable[..., object], taken: object) -> None:
    following = asyncio.ensure_future(desk.refresher.forever())
    await serve(sockets=[taken])  # type: ignore[misc]
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


def milliseconds(at: Served, paths: list[str], requests: int) -> list[float]:
    """Of each answer, one after the other over one connection, the paths in turn."""
    connection, found = http.client.HTTPConnection("127.0.0.1", at.port, timeout=30), []
    for n in range(requests):
        began = time.perf_counter()
        connection.request("GET", paths[n % len(paths)], headers={"cookie": at.cookie})
        answer = connection.getresponse()
        answer.read()
        found.append(1000 * (time.perf_counter() - began))
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{paths[n % len(paths)]}: {answer.status}")
    connection.close()
    return sorted(found)


def figures(at: Served, requests: int) -> dict[str, float]:
    rows, endpoints = at.book.newest(), sorted(at.book.endpoints)
    opened, closed = [row for row in rows if row.open], [row for row in rows if not row.open]
    pages = {
        "inbox": ["/"],
        "fleet": [f"/fleet?page={n}" for n in range(1, 11)],
        "endpoint": [f"/endpoint/{name}" for name in endpoints[:50]],
        "incidents": [f"/incidents?page={n}" for n in range(1, 100, 9)],
        "open": [f"/endpoint/{row.endpoint}/incident/{row.id}" for row in opened[:50]],
        "closed": [f"/endpoint/{row.endpoint}/incident/{row.id}" for row in closed[:50]],
        "audit": [f"/audit?page={n}" for n in range(1, 200, 19)],
        "record": [f"/audit/{n}" for n in range(1, 1 + min(len(at.book.records), 50))],
    }
    found = {"following_seconds": at.following_seconds}
    everything: list[float] = []
    for page, paths in pages.items():
        times = milliseconds(at, paths, requests)
        everything += times
        found |= {f"{page}_p50_ms": times[len(times) // 2], f"{page}_p95_ms": times[int(len(times) * 0.95)]}
    everything.sort()
    return found | {"all_p95_ms": everything[int(len(everything) * 0.95)], "all_max_ms": everything[-1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoints", type=int, default=500)
    parser.add_argument(
        "--incidents", type=int, default=5000, help="closed ones; beside them every tenth endpoint has an open one"
    )
    parser.add_argument("--requests", type=int, default=300, help="of each kind of page")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object on the last line")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, served(Path(home), asked.endpoints, asked.incidents) as at:
        printed("review_page", figures(at, asked.requests), as_json=asked.json)


if __name__ == "__main__":
    main()
