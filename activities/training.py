"""Run one training job to its end: start or adopt, follow, stop when the incident no longer wants it."""

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.failures import to_application_error
from contracts.training import Challenger, JobPhase, JobState, TrainChallenger
from platforms.errors import PlatformError, TrainingFailed
from platforms.ports import Platform
from platforms.wakeups import WAKE_UPS

_BEAT_SECONDS = 1.0


class TrainingActivities:
    def __init__(self, platform: Platform) -> None:
        self._trainer = platform.trainer
        self._pace = platform.pace

    @activity.defn
    async def train_challenger(self, job: TrainChallenger) -> Challenger:
        """The key is the truth: a retry, on this worker or another, adopts the job that already runs."""
        try:
            return await self._follow(job)
        except asyncio.CancelledError:
            if not activity.is_worker_shutdown():
                await asyncio.to_thread(self._trainer.stop, job.key)
            raise
        except PlatformError as error:
            raise to_application_error(error) from error

    async def _follow(self, job: TrainChallenger) -> Challenger:
        with WAKE_UPS.waiting(job.key):
            state = await asyncio.to_thread(self._trainer.start, job)
            while state.phase is JobPhase.RUNNING:
                await self._pause(job.key, state.progress)
                state = await asyncio.to_thread(self._trainer.describe, job.key)
        return _finished(state)

    async def _pause(self, key: str, progress: str) -> None:
        """Until the next look, or until there is news; a heartbeat between, for looks far apart."""
        seconds = self._pace.pause(self._pace.training_poll)
        while seconds > 0 and not WAKE_UPS.woken(key):
            activity.heartbeat(progress)
            await asyncio.sleep(min(seconds, _BEAT_SECONDS))
            seconds -= _BEAT_SECONDS


def _finished(state: JobState) -> Challenger:
    if state.phase is JobPhase.COMPLETED and state.challenger is not None:
        return state.challenger
    if state.phase is JobPhase.STOPPED:
        raise ApplicationError(f"training {state.key} was stopped from outside", type="TrainingStopped", non_retryable=True)
    raise TrainingFailed(state.failure or f"training {state.key} ended without a result or a reason")
