"""Run one training job to its end: start or adopt, follow, stop when the incident no longer wants it."""

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.failures import to_application_error
from contracts.training import Challenger, JobPhase, JobState, TrainChallenger
from platforms.errors import PlatformError, TrainingFailed
from platforms.ports import Platform

POLL_SECONDS = 0.25


class TrainingActivities:
    def __init__(self, platform: Platform, poll_seconds: float = POLL_SECONDS) -> None:
        self._trainer = platform.trainer
        self._poll = poll_seconds

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
        state = await asyncio.to_thread(self._trainer.start, job)
        while state.phase is JobPhase.RUNNING:
            activity.heartbeat(state.progress)
            await asyncio.sleep(self._poll)
            state = await asyncio.to_thread(self._trainer.describe, job.key)
        return _finished(state)


def _finished(state: JobState) -> Challenger:
    if state.phase is JobPhase.COMPLETED and state.challenger is not None:
        return state.challenger
    if state.phase is JobPhase.STOPPED:
        raise ApplicationError(f"training {state.key} was stopped from outside", type="TrainingStopped", non_retryable=True)
    raise TrainingFailed(state.failure or f"training {state.key} ended without a result or a reason")
