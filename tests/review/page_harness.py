"""The review page over real HTTP, on a generated fleet; what it tells the loop is written down instead of carried out."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from bench.generated_fleet import GeneratedLoop, write_chain, write_manifests
from contracts.incident import Accepted, PauseRequest, ResumeRequest, RollbackRequest, Stage, WaitingOn
from contracts.review import Decision, Resolution, ReviewOutcome
from contracts.vouching import Link
from review.app import build_app
from review.book import Book, Incident
from review.desk import Desk
from review.identity import NotAccepted
from review.live import Hub
from review.loop import Refused
from review.oidc import Oidc
from review.refresh import Refresher
from review.sessions import Login, Sessions
from runtime.http_server import config, listen
from runtime.settings import Settings
from runtime.wiring import platform_from

TICKET = "7" * 64


@dataclass
class RecordingLoop(GeneratedLoop):
    decided: list[tuple[str, Decision]] = field(default_factory=list)
    told: list[tuple[str, Any]] = field(default_factory=list)
    refusing: Refused | None = None

    async def decide(self, endpoint: str, incident: str, decision: Decision) -> ReviewOutcome:
        if self.refusing is not None:
            raise self.refusing
        name = f"{endpoint}/{incident}"
        self.decided.append((name, decision))
        resolution = Resolution.APPROVED if decision.approve else Resolution.REJECTED
        outcome = ReviewOutcome(resolution=resolution, promote=decision.approve, decision=decision, decided_at=datetime.now(UTC))
        request, status = self.open[name]
        changed = {"stage": Stage.PROMOTE, "waiting_on": WaitingOn.NOTHING, "review": outcome, "review_deadline": None}
        self.open[name] = (request, status.model_copy(update=changed))
        return outcome

    async def roll_back(self, endpoint: str, request: RollbackRequest) -> Accepted:
        self.told.append((endpoint, request))
        return Accepted(workflow_id="rollback")

    async def hold(self, endpoint: str, request: PauseRequest | ResumeRequest) -> None:
        self.told.append((endpoint, request))


@dataclass
class PaperVouching:
    """One-time links that are names, and links of notices that are written as they are."""

    used: set[str] = field(default_factory=set)
    links: dict[str, Link] = field(default_factory=dict)
    vouched: list[tuple[str, str]] = field(default_factory=list)

    def redeem(self, token: str) -> Login:
        if not token.startswith("once-") or token in self.used:
            raise NotAccepted("This link has been used, and it works once")
        self.used.add(token)
        return Login(token.split("-")[1], "one-time link")

    def read_link(self, token: str) -> Link:
        if token not in self.links:
            raise NotAccepted("This link was not made here, or it was cut off")
        return self.links[token]

    def vouch(self, endpoint: str, incident: str, decision: Decision, login: Login) -> Decision:
        self.vouched.append((decision.reviewer, login.how))
        return decision.model_copy(update={"ticket": TICKET})


@dataclass
class Shown:
    url: str
    desk: Desk
    loop: RecordingLoop
    vouching: PaperVouching
    clients: list[httpx.Client] = field(default_factory=list)

    def waiting(self) -> Incident:
        return self.desk.book.waiting()[0]

    def path(self, row: Incident) -> str:
        return f"/endpoint/{row.endpoint}/incident/{row.id}"

    def browser(self, **options: Any) -> "Visitor":
        client = httpx.Client(base_url=self.url, timeout=20, trust_env=False, **options)
        self.clients.append(client)
        return Visitor(client)

    def logged_in(self, name: str = "anna") -> "Visitor":
        """With a session as a login begins it; logins themselves are limited."""
        response = Response()
        self.desk.sessions.begin(Request({"type": "http", "headers": []}), response, Login(name, "one-time link"))
        cookie, _, value = response.headers["set-cookie"].partition(";")[0].partition("=")
        return self.browser(cookies={cookie: value})


@dataclass
class Visitor:
    """A browser without JavaScript: it keeps cookies and sends forms as the pages hold them."""

    client: httpx.Client

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(path, **more)

    def log_in(self, token: str) -> httpx.Response:
        page = self.get("/login", params={"token": token})
        return self.post("/login", csrf=hidden(page.text, "csrf"), token=token, next="/")

    def post(self, path: str, origin: str | None = "", **fields: str) -> httpx.Response:
        own = str(self.client.base_url).rstrip("/")
        headers = {} if origin is None else {"origin": origin or own}
        return self.client.post(path, data=fields, headers=headers)


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"no field {name} on the page"
    return found[1]


def a_link(row: Incident, person: str = "anna") -> Link:
    assert row.status is not None
    assert row.status.evidence is not None
    return Link(
        person=person,
        endpoint=row.endpoint,
        incident=row.id,
        evidence=row.status.evidence,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        token_id="t1",
    )


@contextmanager
def shown(
    home: Path, *, endpoints: int = 12, incidents: int = 24, oidc: Callable[[str], Oidc] | None = None, **loop: Any
) -> Iterator[Shown]:
    """Served from a thread, as `python -m review` serves it."""
    with listen("127.0.0.1", 0, who="a test", setting="HOMEOSTAT_REVIEW") as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        settings = Settings(home=home, review_url=url, review_port=taken.getsockname()[1])
        recording, vouching = RecordingLoop(size=endpoints, **loop), PaperVouching()
        write_chain(home, settings.anchor_dir, list(recording.statuses), incidents)
        write_manifests(home, list(recording.statuses))
        platform, book = platform_from(settings), Book()
        refresher = Refresher(book, recording, platform)
        desk = Desk(settings, book, recording, platform, refresher, Sessions(secure=False), vouching, oidc(url) if oidc else None)
        app = build_app(desk)
        web = uvicorn.Server(config(app, grace_seconds=1))
        thread = threading.Thread(target=lambda: asyncio.run(_serve(desk, web, taken, app.state.hub)), daemon=True)
        thread.start()
        _until(lambda: len(book.records) >= 2 * incidents and len(book.endpoints) >= endpoints and book.verification is not None)
        _until(lambda: all(row.status is not None for row in book.waiting()))
        found = Shown(url, desk, recording, vouching)
        yield found
        for client in found.clients:
            client.close()
        web.should_exit = True
        thread.join(10)


async def _serve(desk: Desk, web: uvicorn.Server, taken: Any, hub: Hub) -> None:
    following, serving = asyncio.ensure_future(desk.refresher.forever()), asyncio.ensure_future(web.serve(sockets=[taken]))
    while not web.should_exit:  # noqa: ASYNC110 - said by another thread
        await asyncio.sleep(0.05)
    hub.close()
    await serving
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


def _until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the page did not come up"
        time.sleep(0.02)
