"""What a promotion, a recalibration and a rollback have in common: deploy, and see every instance answer with the model."""

import time

from temporalio import activity
from temporalio.exceptions import ApplicationError

from contracts.rollout import Deployment, DeployModel, Manifest, Promotion
from contracts.training import ModelRef, ModelStatus
from platforms.ports import Platform
from platforms.wakeups import WAKE_UPS


class Landing:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._pace = platform.pace

    def land(self, request: DeployModel) -> Deployment:
        """Deploy and wait until every instance answers with the model."""
        with WAKE_UPS.waiting(request.model.endpoint):
            return self._land(request)

    def _land(self, request: DeployModel) -> Deployment:
        deployment = self._platform.serving.deploy(request)
        deadline = time.monotonic() + self._pace.land_seconds
        while not _settled(deployment, request):
            if time.monotonic() > deadline:
                raise ApplicationError(f"{_said(deployment)} after {self._pace.land_seconds:.0f} s", type="Unavailable")
            activity.heartbeat(deployment.ready)
            _sleep(self._pace.pause(self._pace.land_poll), request.model.endpoint)
            deployment = self._platform.serving.describe(request.model.endpoint)
        if deployment.failure is not None and not deployment.landed:
            raise ApplicationError(f"the model is not in service: {deployment.failure}", type="Corrupt", non_retryable=True)
        return deployment

    def finish(self, manifest: Manifest) -> Promotion:
        """The manifest is written: the registry follows it."""
        self._platform.registry.mark(manifest.champion, ModelStatus.CHAMPION)
        former = ModelRef(endpoint=manifest.endpoint, digest=manifest.lineage[0]) if manifest.lineage else None
        return Promotion(manifest=manifest, deployment=self._platform.serving.describe(manifest.endpoint), former=former)


def lineage_after(before: Manifest) -> tuple[str, ...]:
    """Of several shifts of one model in a row only the last is kept, so that they don't crowd out the former champions."""
    former = before.lineage[1:] if before.recalibration else before.lineage
    return (before.champion.digest, *former)[:20]


def _sleep(seconds: float, endpoint: str) -> None:
    """In slices: a cancelled step is told so between two instructions. News of the endpoint ends the whole of it."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not WAKE_UPS.woken(endpoint):
        time.sleep(min(left, 1.0))


def _settled(deployment: Deployment, request: DeployModel) -> bool:
    if deployment.wanted != request.model.digest:
        return False
    return deployment.landed or deployment.failure is not None


def _said(deployment: Deployment) -> str:
    return f"{deployment.ready} of {deployment.instances} instances of {deployment.endpoint} answer with the wanted model"
