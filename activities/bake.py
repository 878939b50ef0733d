"""The minutes and the days after a promotion: does it answer, and is it really better?"""

import asyncio
from datetime import UTC, datetime

import numpy as np
from temporalio import activity

from activities.failures import not_yet, to_application_error, translated
from contracts.rollout import BakeChampion, BakeReport, CheckBake, CheckWatch, WatchReport
from contracts.snapshot import Window
from platforms.errors import PlatformError
from platforms.ports import Platform
from policies import watch
from policies.paired import labelled

_BEAT_SECONDS = 4.0


class BakeActivities:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @activity.defn
    async def bake(self, request: BakeChampion) -> BakeReport:
        """Look until the bake ends or the champion fails. The heartbeat carries its start over to another attempt."""
        told = activity.info().heartbeat_details
        since = datetime.fromisoformat(told[0]) if told else datetime.now(UTC)
        check = CheckBake(endpoint=request.endpoint, digest=request.digest, since=since, max_error_rate=request.max_error_rate)
        try:
            return await self._bake(check, since + request.bake)
        except PlatformError as error:
            raise to_application_error(error) from error

    async def _bake(self, check: CheckBake, end: datetime) -> BakeReport:
        while True:
            activity.heartbeat(check.since.isoformat())
            report = await asyncio.to_thread(self._platform.serving.health, check)
            left = (end - datetime.now(UTC)).total_seconds()
            if not report.healthy or left <= 0:
                return report
            await _pause(min(self._platform.pace.pause(self._platform.pace.bake_poll), left), check)

    @activity.defn
    @translated
    def watch_promotion(self, request: CheckWatch) -> WatchReport:
        """One look at the labels that have come; not complete and not worse means: look again later."""
        known = self._platform.features.watermark(request.data)
        if known is None:
            raise not_yet("no label has arrived yet", request.check_every)
        report = self._look(request, known)
        if not (report.complete or report.worse):
            raise not_yet(report.sentence, request.check_every)
        return report

    def _look(self, request: CheckWatch, known: datetime) -> WatchReport:
        """Both models score the same captured requests, in the order of their event time."""
        window = Window(start=request.since, end=request.until)
        served = self._platform.traffic.replay(request.endpoint, request.data, window, known_at=known)
        registry, scorer = self._platform.registry, self._platform.scorer
        scores = {
            ref.digest: scorer.score(registry.get(ref).artifact_uri, ref, request.data.features, served)
            for ref in (request.champion, request.former)
        }
        known_rows = labelled(served.label, request.data.task, len(request.data.classes))
        return watch.watch(
            day=served.event_time[known_rows].astype("datetime64[D]").astype(np.int64),
            label=served.label[known_rows],
            champion=scores[request.champion.digest][known_rows],
            former=scores[request.former.digest][known_rows],
            alpha=request.alpha,
            margin=request.margin,
            task=request.data.task,
            complete=known >= request.until + request.data.label_delay,
        )


async def _pause(seconds: float, check: CheckBake) -> None:
    """Wait for the next look; a heartbeat between, for looks far apart."""
    while seconds > 0:
        activity.heartbeat(check.since.isoformat())
        await asyncio.sleep(min(seconds, _BEAT_SECONDS))
        seconds -= _BEAT_SECONDS
