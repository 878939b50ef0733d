"""The replay: week after week of traffic through the endpoint, labels after it, then time for the loop to work."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import pyarrow as pa

from contracts.fleet import EndpointPolicy
from contracts.incident import Stage
from contracts.monitor import QualityReport
from demo.data import FEATURES, LABEL, LABEL_DELAY, WEEK, Hours
from demo.news import News
from demo.progress import Screen
from demo.quality import Quality
from demo.reviews import Reviews
from demo.traffic import Clients, Served, joined
from demo.watch import Loop, Moment, Periods, StuckError
from platforms.local.feature_store import LocalFeatureStore

PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 90.0
"""Longest wait for one thing of the loop that doesn't wait for a person."""
MEANWHILE_ROWS = 48
"""How far into the coming week traffic goes on while a new champion takes over ..."""
ROWS_A_PAUSE = 12
"""... and how much of it at a time."""
EXTRA_WEEKS = 4
"""At most so many more, for an incident that is still watched at the end."""


@dataclass(frozen=True)
class Week:
    """One week as it was served."""

    number: int
    hours: Hours
    served: Served

    @property
    def start(self) -> datetime:
        return self.hours.event_time[0]

    @cached_property
    def quality(self) -> Quality:
        return Quality.of(self.hours.busy, self.served.score)


@dataclass
class Replay:
    """Everything that the drive saw."""

    weeks: list[Week] = field(default_factory=list)
    periods: list[QualityReport] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """A sentence for each call that failed."""
    failed_requests: int = 0
    """Rows that got no answer."""

    @property
    def hours(self) -> Hours:
        return Hours.joined([week.hours for week in self.weeks])

    @property
    def served(self) -> Served:
        return joined([week.served for week in self.weeks])


@dataclass
class Drive:
    """Plays the data against the endpoint. `clients` is None until there is a champion to ask."""

    data: Hours
    start: datetime
    policy: EndpointPolicy
    loop: Loop
    monitor: Periods
    store: LocalFeatureStore
    reviews: Reviews
    news: News
    screen: Screen
    check: Callable[[], None]
    """Raises when a process of the demo has died."""
    clients: Clients | None = None
    replay: Replay = field(default_factory=Replay)
    _meanwhile: list[Served] = field(default_factory=list)
    """Answers about the coming week that were asked while a champion took over."""

    def append_labelled(self, hours: Hours) -> None:
        """Rows and labels reach the feature store together, after the event; the label's own time says when it was known."""
        self.store.append(self.policy.data.table, labelled_rows(hours))

    async def run(self, weeks: int) -> Replay:
        """At least `weeks` weeks, and until no incident is open."""
        while len(self.replay.weeks) < weeks:
            idle = await self._week()
        while not idle and len(self.replay.weeks) < weeks + EXTRA_WEEKS:
            idle = await self._week()
        self._count(self._meanwhile)
        return self.replay

    async def settle(self, labels_until: datetime) -> bool:
        """Give the loop time until only labels can move it on; says whether no incident is open."""
        quiet_since = time.monotonic()
        while True:
            self.check()
            moment = await self._look()
            self.news.moment(moment)
            if moment.idle or moment.waits_for_labels(labels_until, self._watch):
                return moment.idle
            if await self._act(moment):
                quiet_since = time.monotonic()
            _check_patience(quiet_since, moment.status.sentence if moment.status else "the lifecycle has pending alarms")
            await asyncio.sleep(PAUSE_SECONDS)

    @property
    def _watch(self) -> timedelta:
        return self.policy.rollout.watch + self.policy.data.label_delay

    async def _act(self, moment: Moment) -> bool:
        """Do the world's part; says whether that may take as long as it likes."""
        if moment.stage in (Stage.PROMOTE, Stage.BAKE):
            await self._ask_meanwhile()
        if moment.stage is Stage.REVIEW and moment.status is not None:
            await self.reviews.answer(moment.status)
            return True
        return False

    async def _week(self) -> bool:
        number = len(self.replay.weeks) + 1
        hours = self._hours_of(number)
        week = Week(number, hours, joined([*self._meanwhile, await self._ask(hours[self._asked :])]))
        self._meanwhile = []
        self.replay.weeks.append(week)
        self._count([week.served])
        await asyncio.to_thread(self.append_labelled, hours)
        self.screen.week(number, week.start, str(week.served.model[-1]), week.quality)
        end = self.start + WEEK * number
        await self._monitored(end)
        return await self.settle(end)

    def _hours_of(self, number: int) -> Hours:
        return self.data.between(self.start + WEEK * (number - 1), self.start + WEEK * number)

    @property
    def _asked(self) -> int:
        return sum(len(part.score) for part in self._meanwhile)

    async def _ask_meanwhile(self) -> None:
        """Traffic does not stop for a promotion: the coming week begins while the new champion takes over."""
        hours = self._hours_of(len(self.replay.weeks) + 1)
        limit = min(MEANWHILE_ROWS, len(hours))
        if self.clients is not None and self._asked < limit:
            self._meanwhile.append(await self._ask(hours[self._asked : self._asked + ROWS_A_PAUSE]))

    async def _ask(self, hours: Hours) -> Served:
        if self.clients is None:
            raise StuckError("the endpoint was asked before it had a champion")
        return await self.clients.ask(hours)

    def _count(self, parts: list[Served]) -> None:
        self.replay.failed_requests += sum(part.failed for part in parts)
        for failure in (failure for part in parts for failure in part.failures):
            self.replay.failures.append(failure)
            self.screen.event(f"request failed: {failure}", "bold red")

    async def _monitored(self, end: datetime) -> None:
        """Wait until the monitor has judged all that it can, and the lifecycle knows its alarms."""
        began = time.monotonic()
        while not (self.monitor.newest_end and self.monitor.newest_end >= end):
            self.check()
            _check_patience(began, f"the monitor has not judged the period that ends {end:%Y-%m-%d}")
            await asyncio.sleep(PAUSE_SECONDS)
            await self._alarms(self.monitor.look())

    async def _alarms(self, reports: list[QualityReport]) -> None:
        self.replay.periods += reports
        for report in (each for each in reports if each.alarm):
            self.news.alarm(report)
            await self._known(str(report.alarm))

    async def _known(self, alarm: str) -> None:
        began = time.monotonic()
        while not (await self._look()).knows(alarm):
            self.check()
            _check_patience(began, f"alarm {alarm} has not reached the lifecycle")
            await asyncio.sleep(PAUSE_SECONDS)

    async def _look(self) -> Moment:
        began = time.monotonic()
        while (moment := await self.loop.look()) is None:
            self.check()
            _check_patience(began, "the lifecycle doesn't answer")
            await asyncio.sleep(PAUSE_SECONDS)
        return moment


def labelled_rows(hours: Hours) -> pa.Table:
    """Rows as the feature store takes them."""
    moments = pa.timestamp("us", tz="UTC")
    columns = {
        "id": pa.array(hours.ids),
        "event_time": pa.array(hours.event_time, moments),
        "label_time": pa.array([when + LABEL_DELAY for when in hours.event_time], moments),
        LABEL: pa.array(hours.busy),
    }
    return pa.table({**columns, **{name: pa.array(hours.features[:, i]) for i, name in enumerate(FEATURES)}})


def _check_patience(since: float, what: str) -> None:
    if time.monotonic() - since > PATIENCE_SECONDS:
        raise StuckError(f"nothing has happened for {PATIENCE_SECONDS:g} s: {what}")
