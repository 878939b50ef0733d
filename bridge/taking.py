"""What becomes of each item, whichever way it came: HTTP, queue, or a function that is called."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from bridge.answers import Result, Told
from bridge.counters import Counters
from bridge.forward import Forwarder, UnknownEndpoint
from bridge.items import HEAD, Ended, Ignored, Item, Monitored, Refused, Understood
from bridge.monitored import read_report
from bridge.rejected import Rejection
from bridge.routing import NO_ROUTES, Routes
from platforms.letters import MonitorReports

_UNKNOWN: Final = "is looked after here; name it in the fleet file and run `python starter.py apply fleet.yaml`"


def _no_routes() -> Routes:
    return NO_ROUTES


class Taking:
    """Forwards in order. An alarm counts as taken once Temporal has it."""

    def __init__(
        self,
        forwarder: Forwarder,
        *,
        routes: Callable[[], Routes] = _no_routes,
        reports: MonitorReports | None = None,
        counters: Counters | None = None,
    ) -> None:
        self.routes = routes
        self.forwarder = forwarder
        self.counters = counters or Counters()
        self._reports = reports

    async def take(self, items: Sequence[Item], *, source: str, traceparent: str | None = None) -> list[Told]:
        """One answer per item.

        Raises:
            TemporalDown: Temporal did not take one; all of them have to come again.
            PlatformError: what a monitoring job has found can't be had.
        """
        told = [await self._take(index, await self._read(item), traceparent) for index, item in enumerate(items)]
        for one in told:
            self.counters.alarm(source, one.result)
        return told

    async def _read(self, item: Item) -> Item:
        if not isinstance(item, Monitored):
            return item
        return await asyncio.to_thread(read_report, self._reports, item, self.routes())

    async def _take(self, index: int, item: Item, traceparent: str | None) -> Told:
        if isinstance(item, Refused):
            return Told(index, Result.REFUSED, reason=item.reason)
        if isinstance(item, Ignored):
            return Told(index, Result.IGNORED, item.id, item.endpoint, item.reason)
        assert not isinstance(item, Monitored)
        ended = isinstance(item, Ended)
        told = item.cleared if isinstance(item, Ended) else item.alarm
        try:
            await (
                self.forwarder.clear(item.cleared) if isinstance(item, Ended) else self.forwarder.send(item.alarm, traceparent)
            )
        except UnknownEndpoint:
            return Told(index, Result.UNKNOWN_ENDPOINT, told.id, told.endpoint, f"no endpoint {told.endpoint!r} {_UNKNOWN}")
        return Told(index, Result.CLEARED if ended else Result.ACCEPTED, told.id, told.endpoint)


def rejections(items: Sequence[Item], told: Sequence[Told], *, sender: str, content_type: str) -> list[Rejection]:
    """What people have to look at."""
    kept = []
    for item, one in zip(items, told, strict=True):
        if isinstance(item, Refused):
            kept.append(Rejection(item.reason, item.head, sender, content_type))
        elif one.result is Result.UNKNOWN_ENDPOINT and isinstance(item, Understood):
            kept.append(Rejection(one.reason, item.alarm.model_dump_json()[:HEAD], sender, content_type))
    return kept
