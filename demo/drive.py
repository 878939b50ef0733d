"""The replay: week after week of traffic through the endpoint, labels after it, then time for the loop to work."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from contracts.fleet import EndpointPolicy
from contracts.incident import Stage
from contracts.monitor import QualityReport
from demo.data import FEATURES, LABEL, LABEL_DELAY, WEEK, Hours
from demo.news import News
from demo.reviews import Reviews
from demo.traffic import Clients, Served, joined
from demo.watch import Loop, Moment, Periods, StuckError
from platforms.local.feature_store import LocalFeatureStore

PAUSE_SECONDS = 0.1
GLANCE_SECONDS = 0.25
"""Between two looks at a remediation at work: each look is a query, which costs the worker."""
PATIENCE_SECONDS = 90.0
"""Longest wait for one thing of the loop that doesn't wait for a person."""
MEANWHILE = timedelta(days=2)
"""Traffic doesn't stop for a promotion: so far it goes on while a new champion takes over ..."""
AT_A_TIME = timedelta(hours=12)
"""... and so much at a time."""
EXTRA_WEEKS = 4
"""At most so many more, for an incident that is still watched at the end."""


@dataclass(frozen=True)
class Replay:
    """What was asked and answered, in whole weeks."""

    start: datetime
    weeks: int
    hours: Hours
    served: Served
    """One answer for each of `hours`."""
    periods: tuple[QualityReport, ...]
    failed_requests: int
    """Rows that got no answer, those asked after the last whole week included."""


@dataclass
class Drive:
    """Plays the data against the endpoint. `clients` is None until there is a champion to ask.

    Two times advance: `asked`, up to which the endpoint was asked, and `known`, up to which labels have arrived.
    """

    data: Hours
    asked: datetime
    policy: EndpointPolicy
    loop: Loop
    monitor: Periods
    store: LocalFeatureStore
    reviews: Reviews
    news: News
    check: Callable[[], None]
    """Raises when a process of the demo has died."""
    clients: Clients | None = None
    _served: list[Served] = field(default_factory=list)
    _periods: list[QualityReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start = self.known = self.asked

    async def run(self, weeks: int) -> Replay:
        """At least `weeks` weeks, and until no incident is open."""
        done = 0
        idle = False
        while done < weeks or (not idle and done < weeks + EXTRA_WEEKS):
            done += 1
            idle = await self._week(done)
        hours = self.data.between(self.start, self.start + WEEK * done)
        served = joined(self._served)
        return Replay(self.start, done, hours, served.first(len(hours)), tuple(self._periods), served.failed)

    async def counts(self) -> dict[str, int]:
        """Alarms by fate, as the lifecycle counts them."""
        return (await self._patiently(self.loop.look)).state.counts

    async def settle(self) -> bool:
        """Give the loop time until only labels can move it on; says whether no incident is open."""
        began = time.monotonic()
        while True:
            self.check()
            moment = await self._patiently(self.loop.glance)
            self.news.moment(moment)
            if moment.idle or moment.waits_for_labels(self.known, self.policy.rollout.watch + self.policy.data.label_delay):
                return moment.idle
            if await self._act(moment):
                began = time.monotonic()
            _check_patience(began, moment.status.sentence if moment.status else "an alarm waits to be judged")
            await asyncio.sleep(GLANCE_SECONDS)

    async def _act(self, moment: Moment) -> bool:
        """Do the world's part; says whether that may take as long as it likes."""
        if moment.stage in (Stage.PROMOTE, Stage.BAKE) and self.asked < self.known + MEANWHILE:
            await self._ask_until(self.asked + AT_A_TIME)
        if moment.stage is Stage.REVIEW and moment.status is not None:
            await self.reviews.answer(moment.status)
            return True
        return False

    async def _week(self, number: int) -> bool:
        """Traffic and labels until the week's last label has come, which is in the next week; then the loop's turn."""
        end = self.start + WEEK * number
        await self._ask_until(max(self.asked, end + LABEL_DELAY))
        await self._label_until(end + LABEL_DELAY)
        await self._monitored(end)
        return await self.settle()

    async def _ask_until(self, until: datetime) -> None:
        if self.clients is None or until <= self.asked:
            return
        served = await self.clients.ask(self.data.between(self.asked, until))
        self._served.append(served)
        self.asked = until
        for failure in served.failures:
            self.news.failure(failure)

    async def _label_until(self, until: datetime) -> None:
        """A label is appended after its event, with the time at which it became known."""
        late = LABEL_DELAY - timedelta(microseconds=1)
        hours = self.data.between(self.known - late, until - late)
        await asyncio.to_thread(self.store.append, self.policy.data.table, labelled_rows(hours))
        self.known = until

    async def _monitored(self, end: datetime) -> None:
        """Wait until the monitor has judged the week, and the lifecycle knows its alarm."""
        began = time.monotonic()
        while self.monitor.newest_end is None or self.monitor.newest_end < end:
            self.check()
            _check_patience(began, f"the monitor has not judged the week that ends {end:%Y-%m-%d}")
            await asyncio.sleep(PAUSE_SECONDS)
            for report in self.monitor.look():
                await self._judged(report)

    async def _judged(self, report: QualityReport) -> None:
        self._periods.append(report)
        self.news.week(len(self._periods), report)
        if report.alarm:
            await self.known_alarm(report.alarm)

    async def known_alarm(self, alarm: str) -> None:
        """Wait until the lifecycle has the alarm."""
        began = time.monotonic()
        while not (await self._patiently(self.loop.look)).knows(alarm):
            self.check()
            _check_patience(began, f"alarm {alarm} has not reached the lifecycle")
            await asyncio.sleep(PAUSE_SECONDS)

    async def _patiently(self, look: Callable[[], Awaitable[Moment | None]]) -> Moment:
        began = time.monotonic()
        while (moment := await look()) is None:
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
