"""Freeze the window of labelled rows."""

from temporalio import activity

from activities.failures import translated
from contracts.snapshot import Snapshot, TakeSnapshot
from platforms.ports import Platform


class SnapshotActivities:
    def __init__(self, platform: Platform) -> None:
        self._features = platform.features

    @activity.defn
    @translated
    def take_snapshot(self, request: TakeSnapshot) -> Snapshot:
        return self._features.snapshot(self._caught_up(request) if request.catch_up else request)

    def _caught_up(self, request: TakeSnapshot) -> TakeSnapshot:
        """Never beyond the present: a mistaken label time far ahead would move the window to where nothing is."""
        newest = self._features.watermark(request.data)
        if newest is not None and request.not_after is not None:
            newest = min(newest, request.not_after)
        if newest is None or newest <= request.as_of:
            return request
        return request.model_copy(update={"as_of": newest})
