"""Take away what an incident created, whichever way it ended."""

from temporalio import activity

from activities.failures import translated
from contracts.inventory import CleanUp, Removal
from platforms.ports import Platform


class CleanupActivities:
    def __init__(self, platform: Platform) -> None:
        self._trainer = platform.trainer
        self._inventory = platform.inventory

    @activity.defn
    @translated
    def clean_up(self, request: CleanUp) -> Removal:
        """Stop the jobs by key, since a dead worker may have left one running, then remove what carries the tags."""
        for key in request.job_keys:
            self._trainer.stop(key)
            activity.heartbeat(key)
        return self._inventory.remove(self._inventory.list(request.tags))
