"""What a promotion, a recalibration and a rollback have in common: deploy, and see every instance answer with the model."""

import time

from temporalio import activity
from temporalio.exceptions import ApplicationError

from contracts.rollout import Deployment, DeployModel, Manifest, Promotion
from contracts.training import ModelRef, ModelStatus
from platforms.ports import Platform

LAND_SECONDS = 120.0
"""How long instances may take to answer with another model before the step fails and is tried again."""


class Landing:
    def __init__(self, platform: Platform, land_seconds: float, poll_seconds: float) -> None:
        self._platform = platform
        self._land_seconds = land_seconds
        self._poll = poll_seconds

    def land(self, request: DeployModel) -> Deployment:
        """Deploy and wait until every instance answers with the model."""
        deployment = self._platform.serving.deploy(request)
        deadline = time.monotonic() + self._land_seconds
        while not _settled(deployment, request):
            if time.monotonic() > deadline:
                raise ApplicationError(f"{_said(deployment)} after {self._land_seconds:.0f} s", type="Unavailable")
            activity.heartbeat(deployment.ready)
            time.sleep(self._poll)
            deployment = self._platform.serving.describe(request.model.endpoint)
        if deployment.failure is not None and not deployment.landed:
            raise ApplicationError(f"instances refuse the model: {deployment.failure}", type="Corrupt", non_retryable=True)
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


def _settled(deployment: Deployment, request: DeployModel) -> bool:
    if deployment.wanted != request.model.digest:
        return False
    return deployment.landed or deployment.failure is not None


def _said(deployment: Deployment) -> str:
    return f"{deployment.ready} of {deployment.instances} instances of {deployment.endpoint} answer with the wanted model"
