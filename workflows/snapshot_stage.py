"""The first stage of a remediation: a window of labelled rows that holds enough, or an honest end."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.incident import RemediationRequest, Stage, WaitingOn
    from contracts.snapshot import OnShortCoverage, Snapshot

from workflows import sentences
from workflows.progress import Progress
from workflows.steps import Steps


class SnapshotStage:
    def __init__(self, request: RemediationRequest, steps: Steps, progress: Progress) -> None:
        self._policy = request.policy.data.coverage
        self._steps = steps
        self._progress = progress

    async def taken(self) -> Snapshot | None:
        """None where the labels didn't come in time and the policy doesn't let a person decide instead."""
        for look in range(1, self._policy.max_defers + 2):
            self._progress.enter(Stage.SNAPSHOT, "Taking the window of labelled rows.")
            snapshot = await self._steps.snapshot(look)
            self._progress.learn(snapshot=snapshot)
            if snapshot.coverage.sufficient or self._policy.on_short is OnShortCoverage.ASK:
                return snapshot
            short = sentences.shortfall(snapshot.coverage)
            self._progress.enter(Stage.DEFERRED, f"Short of data: {short}.", WaitingOn.LABELS)
            if self._policy.on_short is OnShortCoverage.END or look > self._policy.max_defers:
                return None
            await workflow.sleep(self._policy.defer_for, summary="until more labels have arrived")
        return None
