"""What the pages know of the fleet: rows in memory, so that no page asks anybody else for each of its lines."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Generic, TypeVar

from contracts.audit import Verification
from contracts.base import Utc
from contracts.incident import LifecycleStatus, RemediationRequest, RemediationStatus

T = TypeVar("T")
PER_PAGE: Final = 50
OPEN: Final = "open"


@dataclass(frozen=True)
class Endpoint:
    """One endpoint as its lifecycle, its manifest and its serving show it."""

    name: str
    stage: str = ""
    waiting_on: str = ""
    incident: str = ""
    champion: str = ""
    champion_since: Utc | None = None
    revision: int = 0
    lineage: tuple[str, ...] = ()
    health: str = "unknown"
    """'healthy', 'degraded', 'down', 'nothing serves' or 'unknown'."""
    serving: str = ""
    status: LifecycleStatus | None = None
    """None until a worker has answered once."""
    answered: bool = True

    @property
    def team(self) -> str:
        policy = self.status.state.policy if self.status else None
        return policy.team if policy else ""

    @property
    def paused(self) -> bool:
        return self.status is not None and self.status.state.paused is not None

    @property
    def mode(self) -> str:
        policy = self.status.state.policy if self.status else None
        return policy.mode.value if policy else ""


@dataclass(frozen=True)
class Incident:
    """One incident: open as Temporal shows it, or closed as the audit chain or its lifecycle remembers it."""

    endpoint: str
    id: str
    state: str = OPEN
    """'open', or how it ended."""
    stage: str = ""
    waiting_on: str = ""
    severity: str = ""
    verdict: str = ""
    started: Utc | None = None
    at: Utc | None = None
    """When it ended; of an open one, since when it stands where it stands."""
    sentence: str = ""
    deadline: Utc | None = None
    request: RemediationRequest | None = None
    status: RemediationStatus | None = None
    answered: bool = True
    records: tuple[int, ...] = ()
    """Its audit records."""

    @property
    def name(self) -> str:
        return f"{self.endpoint}/{self.id}"

    @property
    def open(self) -> bool:
        return self.state == OPEN

    @property
    def for_a_person(self) -> bool:
        return self.open and self.waiting_on == "person"

    @property
    def moment(self) -> datetime | None:
        return self.at or self.started


@dataclass(frozen=True)
class Record:
    """One line of the audit chain, without its facts."""

    seq: int
    at: Utc
    event: str
    endpoint: str
    incident: str
    hash: str
    sentence: str


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a longer list."""

    items: Sequence[T]
    number: int
    total: int
    per_page: int = PER_PAGE

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.per_page))


def page_of(items: Sequence[T], number: int, per_page: int = PER_PAGE) -> Page[T]:
    """The page with this number, from 1, or the nearest there is."""
    last = max(1, -(-len(items) // per_page))
    at = min(max(number, 1), last)
    return Page(items[(at - 1) * per_page : at * per_page], at, len(items), per_page)


@dataclass
class Book:
    """Changed on the event loop only. `changed` hears of every change, by topic."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    verification: Verification | None = None
    verified_at: datetime | None = None
    connected: bool = False
    """Whether Temporal answered the last time it was asked."""
    changed: Callable[[set[str]], None] = field(default=lambda _: None)
    _newest: list[Incident] | None = None
    _waiting: list[Incident] | None = None

    def put_endpoint(self, row: Endpoint) -> None:
        if self.endpoints.get(row.name) != row:
            self.endpoints[row.name] = row
            self.changed({"fleet", f"endpoint/{row.name}"})

    def drop_endpoint(self, name: str) -> None:
        if self.endpoints.pop(name, None) is not None:
            self.changed({"fleet", f"endpoint/{name}"})

    def put_incident(self, row: Incident) -> None:
        if self.incidents.get(row.name) != row:
            self.incidents[row.name] = row
            self._newest = self._waiting = None
            self.changed({"inbox", "incidents", f"endpoint/{row.endpoint}", row.name})

    def add_records(self, rows: Iterable[Record]) -> None:
        new = list(rows)
        if new:
            self.records.extend(new)
            self.changed({"audit"})

    def forget_records(self) -> None:
        """The chain was replaced: what was read of it counts no more."""
        self.records.clear()
        for name, row in list(self.incidents.items()):
            self.incidents[name] = replace(row, records=())
        self._newest = self._waiting = None
        self.changed({"audit", "incidents"})

    def verified(self, found: Verification, at: datetime) -> None:
        self.verification, self.verified_at = found, at
        self.changed({"audit"})

    def reach(self, connected: bool) -> None:
        if self.connected is not connected:
            self.connected = connected
            self.changed({"fleet", "inbox"})

    def newest(self) -> list[Incident]:
        """All incidents: the open ones first, then the latest to end."""
        if self._newest is None:
            self._newest = sorted(self.incidents.values(), key=_order)
        return self._newest

    def waiting(self) -> list[Incident]:
        """What waits for a person, the nearest deadline first."""
        if self._waiting is None:
            rows = [row for row in self.incidents.values() if row.for_a_person]
            self._waiting = sorted(rows, key=lambda row: row.deadline.timestamp() if row.deadline else float("inf"))
        return self._waiting

    def of(self, endpoint: str) -> list[Incident]:
        return [row for row in self.newest() if row.endpoint == endpoint]


def _order(row: Incident) -> tuple[bool, float, str]:
    return not row.open, -row.moment.timestamp() if row.moment else 0.0, row.id
