"""The page follows the loop: it says what is old, asks again, and never shows for open what has ended."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bench.generated_fleet import GeneratedLoop, write_chain, write_manifests
from contracts.incident import LifecycleStatus, RemediationStatus
from contracts.rollout import Deployment
from platforms.pace import Pace
from review import refresh
from review.book import Book, Incident, page_of
from review.chronicle import Chronicle
from review.loop import Gone, Seen, Silent
from review.refresh import Refresher
from runtime.settings import Settings
from runtime.wiring import platform_from
from tests.fakes import FakeServing, World


class Moody(GeneratedLoop):
    """Falls silent, and loses workflows, when a test says so."""

    mute = False
    down = False
    lost: frozenset[str] = frozenset()

    async def running(self) -> AsyncIterator[Seen]:
        if self.down:
            raise Silent("connection refused")
        async for seen in super().running():
            if not seen.is_incident or f"{seen.endpoint}/{seen.incident}" not in self.lost:
                yield seen

    async def lifecycle(self, endpoint: str) -> LifecycleStatus:
        if self.mute:
            raise Silent("no worker")
        return await super().lifecycle(endpoint)

    async def remediation(self, endpoint: str, incident: str) -> RemediationStatus:
        if self.mute:
            raise Silent("no worker")
        if f"{endpoint}/{incident}" in self.lost:
            raise Gone(incident)
        return await super().remediation(endpoint, incident)


@pytest.fixture
def following(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Refresher, Moody]:
    monkeypatch.setattr(refresh, "_SILENT_SECONDS", 0.0)
    settings, loop = Settings(home=tmp_path), Moody(size=3)
    write_chain(tmp_path, settings.anchor_dir, list(loop.statuses), 4)
    write_manifests(tmp_path, list(loop.statuses))
    return Refresher(Book(), loop, platform_from(settings)), loop


async def test_a_page_that_starts_before_the_workers_asks_until_they_answer(following: tuple[Refresher, Moody]) -> None:
    refresher, loop = following
    loop.mute = True
    await refresher.round()
    assert all(row.status is None for row in refresher.book.endpoints.values())
    assert [row.status for row in refresher.book.waiting()] == [None], "it is listed as waiting all the same"
    loop.mute = False
    await refresher.round()
    assert all(row.status is not None for row in refresher.book.endpoints.values())
    (row,) = refresher.book.waiting()
    assert row.status is not None
    assert row.deadline is not None


async def test_what_nobody_answers_is_shown_as_old(following: tuple[Refresher, Moody]) -> None:
    refresher, loop = following
    await refresher.round()
    loop.mute = True
    (row,) = refresher.book.waiting()
    now = await refresher.ask_incident(row.endpoint, row.id)
    assert now is not None
    assert not now.answered
    assert now.status is not None, "what was known stays"


async def test_an_incident_that_was_ended_from_outside_waits_for_nobody(following: tuple[Refresher, Moody]) -> None:
    refresher, loop = following
    await refresher.round()
    (row,) = refresher.book.waiting()
    loop.lost = frozenset({row.name})
    await refresher.round()
    assert refresher.book.waiting() == []
    assert refresher.book.incidents[row.name].state == "ended"


async def test_temporal_going_and_coming_is_told(following: tuple[Refresher, Moody]) -> None:
    refresher, loop = following
    heard: list[set[str]] = []
    refresher.book.changed = heard.append
    await refresher.round()
    assert refresher.book.connected
    loop.down = True
    heard.clear()
    await refresher.round()
    assert not refresher.book.connected
    assert {"fleet", "inbox"} in heard


class Counted(FakeServing):
    """Remembers whom it was asked about."""

    asked: ClassVar[list[str]] = []

    def describe(self, endpoint: str) -> Deployment:
        self.asked.append(endpoint)
        return super().describe(endpoint)


async def test_serving_is_asked_about_each_endpoint_as_often_as_the_platform_likes(following: tuple[Refresher, Moody]) -> None:
    refresher, loop = following
    Counted.asked.clear()
    refresher.platform = replace(refresher.platform, serving=Counted(World()), pace=Pace(bake_poll=60.0))
    for _ in range(3):
        await refresher.round()
    assert sorted(Counted.asked) == sorted(loop.statuses)


async def test_only_what_changed_is_told(following: tuple[Refresher, Moody]) -> None:
    refresher, _ = following
    await refresher.round()
    heard: list[set[str]] = []
    refresher.book.changed = heard.append
    await refresher.round()
    assert heard == []


async def test_the_chain_is_followed_record_by_record_and_a_broken_one_is_said(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    audit = write_chain(tmp_path, settings.anchor_dir, ["bikes"], 3)
    book = Book()
    chronicle = Chronicle(book, audit)
    assert not await chronicle.step()
    assert [row.seq for row in book.records] == [1, 2, 3, 4, 5, 6]
    assert {row.state for row in book.incidents.values()}.isdisjoint({"open"})
    assert all(len(row.records) == 2 for row in book.incidents.values())
    await chronicle.verify()
    assert book.verification is not None
    assert book.verification.verified
    path = tmp_path / "audit" / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"0.0123", b"0.0124", 1))
    await chronicle.verify()
    assert not book.verification.verified
    assert book.verification.faults[0].seq == 1


async def test_a_chain_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    settings, book = Settings(home=tmp_path), Book()
    chronicle = Chronicle(book, write_chain(tmp_path, settings.anchor_dir, ["bikes"], 5))
    await chronicle.step()
    write_chain(tmp_path, settings.anchor_dir, ["bikes"], 2)
    await chronicle.verify()
    await chronicle.step()
    assert len(book.records) == 4
    assert all(max(row.records, default=0) <= 4 for row in book.incidents.values())


def test_a_list_has_the_nearest_page_there_is() -> None:
    rows = [Incident("bikes", str(n)) for n in range(120)]
    assert [page_of(rows, n).number for n in (-3, 1, 3, 99)] == [1, 1, 3, 3]
    assert len(page_of(rows, 3).items) == 20
    assert page_of([], 5).last == 1


async def test_what_goes_wrong_in_one_round_is_tried_again_in_the_next(
    following: tuple[Refresher, Moody], monkeypatch: pytest.MonkeyPatch
) -> None:
    refresher, _ = following
    monkeypatch.setattr(refresh, "EVERY_SECONDS", 0.01)
    rounds: list[int] = []

    async def failing(*_: Any) -> None:
        rounds.append(1)
        raise ValueError("a bug")

    monkeypatch.setattr(refresher, "_lifecycles", failing)
    task = asyncio.ensure_future(refresher.forever())
    async with asyncio.timeout(10):
        while len(rounds) < 3:  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
