"""The first stage of a remediation: a window of labelled rows that holds enough, or an honest end."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.bench import Judging
    from contracts.incident import RemediationRequest, Stage, WaitingOn
    from contracts.snapshot import Coverage, Snapshot
    from contracts.training import Recipe
    from policies.coverage import Course, course, wait_for, widened

from workflows import sentences
from workflows.progress import Progress
from workflows.steps import Steps


class SnapshotStage:
    def __init__(self, request: RemediationRequest, steps: Steps, progress: Progress) -> None:
        self._policy = request.policy.data.coverage
        self._may_widen = request.policy.training.judging is Judging.ON_ALARM
        """The shadow bench judges its own recipe, which no single incident changes."""
        self._steps = steps
        self._progress = progress
        self._waits = 0
        self._held: Snapshot | None = None
        """The look whose window's end is held while its labels come in."""

    async def taken(self) -> Snapshot | None:
        """None where the labels didn't come in time, or the rows can't be right, and the policy lets no person decide instead."""
        look = 0
        while True:
            look += 1
            self._progress.enter(Stage.SNAPSHOT, "Taking the window of labelled rows.")
            until = self._held.window.end if self._held else None
            snapshot = await self._steps.snapshot(look, catch_up=self._waits > 0, until=until)
            self._progress.learn(snapshot=snapshot)
            coverage = snapshot.coverage
            wider = widened(self._steps.recipe, limit=self._policy.widen_to) if self._may_widen else None
            match course(coverage=coverage, policy=self._policy, waits=self._waits, wider=wider is not None):
                case Course.GO | Course.ASK:
                    return snapshot
                case Course.WIDEN:
                    self._widen(coverage, wider)
                case Course.WAIT:
                    await self._wait(snapshot)
                case Course.END:
                    self._progress.enter(Stage.DEFERRED, sentences.insufficient(coverage), WaitingOn.LABELS)
                    return None

    async def _wait(self, snapshot: Snapshot) -> None:
        """Until enough labels are expected. Where only labels are missing, the window's end is held meanwhile."""
        coverage = snapshot.coverage
        pause = wait_for(coverage=coverage, policy=self._policy, as_of=snapshot.as_of)
        self._held = snapshot if coverage.mature_at is not None else None
        self._progress.enter(Stage.DEFERRED, f"{sentences.insufficient(coverage)}{_until(coverage)}", WaitingOn.LABELS)
        self._waits += 1
        await workflow.sleep(pause, summary=f"until more labels have arrived, {_rounded(pause)}")

    def _widen(self, coverage: Coverage, wider: Recipe | None) -> None:
        """The challenger of this incident learns from longer horizons; the record and the report say so."""
        assert wider is not None  # or the policy would not have said so
        self._steps.recipe = wider
        names = ", ".join(member.name for member in wider.blended)
        self._progress.learn(recipe=wider)
        said = f"The window was widened to the members {names}. {sentences.insufficient(coverage)}"
        self._steps.notes = (*self._steps.notes, said[:500])
        self._progress.note(said)


def _until(coverage: Coverage) -> str:
    if coverage.mature_at is None:
        return ""
    return f" Enough labels are expected by {coverage.mature_at:%Y-%m-%d %H:%M} of the data's time."


def _rounded(pause: timedelta) -> str:
    return str(timedelta(minutes=round(pause / timedelta(minutes=1))))
