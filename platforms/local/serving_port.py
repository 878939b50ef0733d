"""Serving on this machine, as the loop sees it: write what is wanted, read what really is."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contracts.rollout import BakeReport, CheckBake, Deployment, DeployModel
from learning.artifact import FILE_NAME
from platforms.errors import Conflict, NotFound, Unavailable
from platforms.files import locked, write_contract
from platforms.local.serving_counts import counts_since
from platforms.local.serving_state import (
    AppliedKey,
    Desired,
    InstanceState,
    Layout,
    SupervisorState,
    read_or_none,
    supervised,
)
from platforms.tabular.artifact_file import load_model
from policies.bake import bake

_REMEMBERED = 50
_SILENT = timedelta(seconds=15)
"""An instance that wrote no heartbeat for so long is not counted as ready."""


class LocalServing:
    """The `Serving` port over the files that `python -m platforms.local.serving` watches."""

    def __init__(self, home: Path) -> None:
        self._home = home.absolute()

    def deploy(self, request: DeployModel) -> Deployment:
        """Ask for the model on every instance; a key that was applied before changes nothing.

        Raises: Corrupt, NotFound, Exhausted, Conflict (the key asked for another model before), Unavailable (no supervisor).
        """
        model = request.model
        artifact = self._home / "registry" / model.endpoint / model.digest / FILE_NAME
        load_model(artifact, model.digest)
        layout = Layout(self._home, model.endpoint)
        with locked(layout.folder / ".desired.lock"):
            wanted = _next(read_or_none(layout.desired, Desired), request, artifact)
            if wanted is not None:
                write_contract(layout.desired, wanted)
        return self.describe(model.endpoint)

    def describe(self, endpoint: str) -> Deployment:
        """Raises: NotFound (nothing was ever deployed), Unavailable (no supervisor runs)."""
        layout = Layout(self._home, endpoint)
        desired = read_or_none(layout.desired, Desired)
        if desired is None:
            raise NotFound(f"nothing was ever deployed to endpoint {endpoint}: deploy a registered model first")
        if not supervised(self._home):
            raise Unavailable(
                f"nobody serves {self._home / 'serving'}: start `python -m platforms.local.serving --home {self._home}`"
            )
        state = read_or_none(layout.state, SupervisorState)
        return _deployment(desired, state, _live(layout, state))

    def health(self, request: CheckBake) -> BakeReport:
        """Calls and failures of the model since `since`, over all instances, those that are gone included.

        Raises: NotFound, Unavailable.
        """
        deployment = self.describe(request.endpoint)
        layout = Layout(self._home, request.endpoint)
        counts = [c for c in counts_since(layout.counts, request.since) if c.digest == request.digest]
        requests, errors = sum(c.requests for c in counts), sum(c.errors for c in counts)
        report = bake(requests=max(requests, errors), errors=errors, max_error_rate=request.max_error_rate)
        trouble = _trouble(request, deployment)
        return report if trouble is None else report.model_copy(update={"healthy": False, "sentence": trouble})


def _next(present: Desired | None, request: DeployModel, artifact: Path) -> Desired | None:
    """What to write, or None if this key was applied before."""
    applied = present.applied if present else ()
    before = next((a for a in applied if a.key == request.key), None)
    if before is not None and before.digest != request.model.digest:
        raise Conflict(
            f"key {request.key} deployed model {before.digest[:12]} before, now asks for {request.model.digest[:12]}: "
            "use a new key for a new deployment"
        )
    if before is not None:
        return None
    return Desired(
        endpoint=request.model.endpoint,
        digest=request.model.digest,
        artifact=str(artifact),
        instances=request.serving.instances,
        port=request.serving.port,
        threshold=request.serving.threshold,
        key=request.key,
        applied=(*applied, AppliedKey(key=request.key, digest=request.model.digest))[-_REMEMBERED:],
    )


def _live(layout: Layout, state: SupervisorState | None) -> list[InstanceState]:
    if state is None:
        return []
    found = (read_or_none(layout.instance(pid), InstanceState) for pid in state.instances)
    return [instance for instance in found if instance is not None and instance.ready]


def _deployment(desired: Desired, state: SupervisorState | None, live: list[InstanceState]) -> Deployment:
    oldest = datetime.now(UTC) - _SILENT
    silent = [i.pid for i in live if i.heartbeat < oldest]
    ready = sum(1 for i in live if i.digest == desired.digest and i.pid not in silent)
    failures = [i.failure for i in live if i.failure and i.wanted == desired.digest]
    failures += [f"instance {pid} has been silent for over {_SILENT.seconds} s: end it and it is replaced" for pid in silent]
    failures += [state.failure] if state and state.failure else []
    return Deployment(
        endpoint=desired.endpoint,
        wanted=desired.digest,
        url=state.url if state else "",
        instances=max(desired.instances, len(state.instances) if state else 0),
        ready=ready,
        digests=Counter(i.digest for i in live if i.digest),
        failure=failures[0] if failures else None,
    )


def _trouble(request: CheckBake, deployment: Deployment) -> str | None:
    """The sentence that says why the bake has failed whatever was answered, or None."""
    if deployment.wanted != request.digest:
        return f"Endpoint {request.endpoint} is meant to serve another model than {request.digest[:12]} by now."
    if deployment.failure:
        return f"An instance is in trouble: {deployment.failure}"
    return None
