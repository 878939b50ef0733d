"""Keeps the book fresh in the background: a list every other second, and a question only where something moved."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final

import structlog

from contracts.ids import lifecycle_id, remediation_id
from contracts.incident import IncidentSummary, LifecycleStatus
from contracts.rollout import Deployment, Manifest
from platforms.errors import NotFound, PlatformError
from platforms.ports import Platform
from review.book import Book, Endpoint, Incident
from review.chronicle import Chronicle
from review.loop import Gone, Loop, Seen, Silent

EVERY_SECONDS: Final = 2.0
_AT_ONCE: Final = 8
_QUESTIONS: Final = 120
"""In one round; what is left is asked in the next."""
_OLD_SECONDS: Final = 20.0
"""From so long ago on, the answer of one that waits for a person is asked for again."""
_JUST_SECONDS: Final = 1.0
_SILENT_SECONDS: Final = 5.0
_BREATH: Final = 50
_LOOKS: Final = 30
"""Endpoints whose manifest and serving are looked at in one round."""

log = structlog.get_logger(__name__)


@dataclass
class _Known:
    """When a workflow was last asked, and how it was listed then."""

    mark: str = ""
    at: float = 0.0


@dataclass
class Refresher:
    book: Book
    loop: Loop
    platform: Platform
    _known: dict[str, _Known] = field(default_factory=dict)
    _asked: dict[str, float] = field(default_factory=dict)
    _looked: int = 0
    _look_from: float = 0.0
    _silent_until: float = 0.0

    def __post_init__(self) -> None:
        self._chronicle = Chronicle(self.book, self.platform.audit)

    async def forever(self) -> None:
        """Whatever goes wrong in one round is logged, and the next one tries again."""
        following = asyncio.ensure_future(self._chronicle.forever())
        try:
            while True:
                try:
                    await self.round()
                except Exception as error:  # noqa: BLE001 - a page that stops following would tell old news for ever
                    log.warning("refresh_failed", reason=repr(error)[:300])
                await asyncio.sleep(EVERY_SECONDS)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def verify(self) -> None:
        """Hold the whole audit chain to its anchor now. Raises: PlatformError."""
        await self._chronicle.verify()

    def forget(self, endpoint: str, incident: str) -> None:
        """Ask this incident again in the next round, although nothing in its list has moved."""
        self._known.pop(remediation_id(endpoint, incident), None)

    async def round(self) -> None:
        try:
            seen = [one async for one in self.loop.running()]
        except Silent as silent:
            log.warning("temporal_silent", reason=str(silent)[:300])
            self.book.reach(connected=False)
            return
        self.book.reach(connected=True)
        await self._lifecycles([one for one in seen if not one.is_incident])
        await self._incidents([one for one in seen if one.is_incident])
        await self._look()

    async def _lifecycles(self, seen: list[Seen]) -> None:
        names = {one.endpoint for one in seen}
        for gone in [name for name in self.book.endpoints if name not in names]:
            self.book.drop_endpoint(gone)
        for n, one in enumerate(seen):
            await _breathe(n)
            known = self.book.endpoints.get(one.endpoint) or Endpoint(one.endpoint)
            self.book.put_endpoint(replace(known, stage=one.stage or known.stage or "idle", waiting_on=one.waiting_on))
        await _few(self._due(seen), lambda one: self.ask_lifecycle(one.endpoint))

    async def _incidents(self, seen: list[Seen]) -> None:
        names = {f"{one.endpoint}/{one.incident}" for one in seen}
        for row in [row for row in self.book.incidents.values() if row.open and row.name not in names]:
            await self._left(row)
        for n, one in enumerate(seen):
            await _breathe(n)
            known = self.book.incidents.get(f"{one.endpoint}/{one.incident}") or Incident(one.endpoint, one.incident)
            if known.open:
                self.book.put_incident(
                    replace(known, stage=one.stage, waiting_on=one.waiting_on, severity=one.severity, started=one.started)
                )
        await _few(self._due(seen), lambda one: self.ask_incident(one.endpoint, one.incident))

    async def _left(self, row: Incident) -> None:
        """One that runs no more: it says how it ended, unless it was ended from outside."""
        now = await self.ask_incident(row.endpoint, row.id)
        listed = self._known.pop(remediation_id(row.endpoint, row.id), None)
        self._asked.pop(remediation_id(row.endpoint, row.id), None)
        if now is not None and now.open and listed is not None:
            self.book.put_incident(replace(now, state="ended", waiting_on="", deadline=None))

    def _due(self, seen: list[Seen]) -> list[Seen]:
        """Those that moved since they were asked, then those that wait for a person and were asked long ago."""
        now = monotonic()
        if now < self._silent_until:
            return []
        never = _Known()
        moved = [one for one in seen if self._known.get(one.workflow_id, never).mark != one.mark]
        old = [
            one
            for one in seen
            if one.waiting_on == "person" and now - self._known.get(one.workflow_id, never).at > _OLD_SECONDS and one not in moved
        ]
        due = [*moved, *sorted(old, key=lambda one: self._known.get(one.workflow_id, never).at)][:_QUESTIONS]
        for one in due:
            self._known[one.workflow_id] = _Known(one.mark, now)
        return due

    async def look_lifecycle(self, endpoint: str) -> Endpoint | None:
        """For a page: ask, unless somebody else's page asked just now."""
        known = self.book.endpoints.get(endpoint)
        return known if known and self._just_asked(lifecycle_id(endpoint)) else await self.ask_lifecycle(endpoint)

    async def look_incident(self, endpoint: str, incident: str) -> Incident | None:
        known = self.book.incidents.get(f"{endpoint}/{incident}")
        return (
            known
            if known and self._just_asked(remediation_id(endpoint, incident))
            else await self.ask_incident(endpoint, incident)
        )

    def _just_asked(self, workflow_id: str) -> bool:
        return monotonic() - self._asked.get(workflow_id, -_JUST_SECONDS) < _JUST_SECONDS

    async def ask_lifecycle(self, endpoint: str) -> Endpoint | None:
        """Ask it now; where nobody answers, what is known stays and says so. None where it is not there."""
        known = self.book.endpoints.get(endpoint)
        if monotonic() < self._silent_until:
            return known
        try:
            status = await self.loop.lifecycle(endpoint)
        except Gone:
            return known
        except Silent:
            self._fell_silent(lifecycle_id(endpoint))
            if known is not None:
                self.book.put_endpoint(replace(known, answered=False))
            return self.book.endpoints.get(endpoint)
        self._asked[lifecycle_id(endpoint)] = monotonic()
        now_open = status.state.open
        row = replace(
            known or Endpoint(endpoint),
            stage=status.stage,
            status=_without_seen(status),
            incident=now_open.incident if now_open else "",
            answered=True,
        )
        self.book.put_endpoint(row)
        self._remember(endpoint, status.state.history)
        return row

    async def ask_incident(self, endpoint: str, incident: str) -> Incident | None:
        """As `ask_lifecycle`, of an incident. One whose workflow has ended is asked, too."""
        known = self.book.incidents.get(f"{endpoint}/{incident}")
        row = known or Incident(endpoint, incident)
        if monotonic() < self._silent_until:
            return known
        try:
            request = row.request or await self.loop.request(endpoint, incident)
            status = await self.loop.remediation(endpoint, incident)
        except Gone:
            return known
        except Silent:
            self._fell_silent(remediation_id(endpoint, incident))
            if known is not None:
                self.book.put_incident(replace(known, answered=False))
            return self.book.incidents.get(row.name)
        self._asked[remediation_id(endpoint, incident)] = monotonic()
        closed = status.stage == "closed"
        row = replace(
            self.book.incidents.get(row.name) or row,
            stage=status.stage.value,
            waiting_on=status.waiting_on.value,
            severity=request.severity.value,
            verdict=status.judgement.verdict.value if status.judgement else "",
            at=status.since,
            sentence=status.sentence,
            deadline=status.review_deadline,
            request=request,
            status=status,
            answered=True,
        )
        self.book.put_incident(replace(row, state="closed") if closed and row.open else row)
        return self.book.incidents[row.name]

    def _fell_silent(self, workflow_id: str) -> None:
        """Nobody is asked for a while, so that no page waits for an answer that doesn't come; then this one is due again."""
        self._silent_until = monotonic() + _SILENT_SECONDS
        self._known.pop(workflow_id, None)

    def _remember(self, endpoint: str, history: tuple[IncidentSummary, ...]) -> None:
        """What the lifecycle tells of closed incidents; the audit chain knows more, and comes first."""
        for summary in history:
            known = self.book.incidents.get(f"{endpoint}/{summary.incident}")
            if known is None or known.state in ("open", "closed"):
                row = known or Incident(endpoint, summary.incident, at=summary.as_of)
                self.book.put_incident(replace(row, state=summary.outcome.value, sentence=summary.sentence, waiting_on=""))

    async def _look(self) -> None:
        """Manifests and serving of some endpoints, all in turn, as often as the platform likes to be asked."""
        if monotonic() < self._look_from:
            return
        names = sorted(self.book.endpoints)
        chosen = [names[(self._looked + n) % len(names)] for n in range(min(_LOOKS, len(names)))]
        if self._looked + len(chosen) >= len(names):
            self._look_from = monotonic() + self.platform.pace.bake_poll
        self._looked = (self._looked + len(chosen)) % max(1, len(names))
        found = await asyncio.to_thread(lambda: [(name, self._manifest(name), *self._serving(name)) for name in chosen])
        for name, manifest, health, serving in found:
            if (row := self.book.endpoints.get(name)) is not None:
                self.book.put_endpoint(_with_serving(row, manifest, health, serving))

    def _manifest(self, name: str) -> Manifest | None:
        try:
            return self.platform.manifests.read(name)
        except PlatformError as error:
            log.warning("manifest_unreadable", endpoint=name, reason=str(error)[:300])
            return None

    def _serving(self, name: str) -> tuple[str, str]:
        """How it is, and in words."""
        try:
            return _health(self.platform.serving.describe(name))
        except NotFound:
            return "nothing serves", "no model was ever deployed"
        except PlatformError as error:
            return "down", str(error)[:200]


def _with_serving(row: Endpoint, manifest: Manifest | None, health: str, serving: str) -> Endpoint:
    if manifest is None:
        return replace(row, health=health, serving=serving)
    return replace(
        row,
        champion=manifest.champion.digest,
        champion_since=manifest.promoted_as_of,
        revision=manifest.revision,
        lineage=manifest.lineage,
        health=health,
        serving=serving,
    )


def _health(found: Deployment) -> tuple[str, str]:
    said = f"{found.ready} of {found.instances} instances ready"
    if found.failure:
        return "degraded", f"{said}; {found.failure[:150]}"
    return ("healthy" if found.landed else "degraded" if found.ready else "down"), said


def _without_seen(status: LifecycleStatus) -> LifecycleStatus:
    """A thousand ids of alarms that no page shows."""
    return status.model_copy(update={"state": status.state.model_copy(update={"seen": ()})})


async def _breathe(n: int) -> None:
    """Let pages be served between a hundred rows and the next."""
    if n % _BREATH == 0:
        await asyncio.sleep(0)


async def _few(seen: list[Seen], ask: Callable[[Seen], Awaitable[object]]) -> None:
    """A few at a time; each deals with its own failures."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(asked: Seen) -> None:
        async with slots:
            await ask(asked)

    await asyncio.gather(*[one(asked) for asked in seen])
