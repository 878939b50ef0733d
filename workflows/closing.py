"""The end of every remediation, whichever way it came: put back, cleaned up, recorded, told."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

from contracts.audit import AuditEvent
from contracts.incident import IncidentReport, Outcome, Stage
from workflows import sentences
from workflows.progress import Progress
from workflows.recalibrating import Recalibrating
from workflows.review_wait import ReviewWait
from workflows.steps import Steps
from workflows.telling import Telling


class Closing:
    def __init__(
        self, steps: Steps, progress: Progress, telling: Telling, review: ReviewWait, recalibrating: Recalibrating
    ) -> None:
        self._steps = steps
        self._recalibrating = recalibrating
        self._progress = progress
        self._telling = telling
        self._review = review

    async def close(self, report: IncidentReport, *, promoting: bool) -> IncidentReport:
        """Runs to its end under any number of cancels."""
        self._progress.enter(Stage.CLEANUP, report.sentence)
        if promoting and not report.promoted:
            await self._put_back()
        if self._recalibrating.begun and not report.recalibrated:
            await self._undo_recalibration()
        await self._clean_up()
        await self._record_end(report)
        if report.outcome is Outcome.FAILED:
            self._telling.page(report.sentence)
        self._telling.outcome(report)
        await self._telling.finished()
        self._progress.enter(Stage.CLOSED, report.sentence)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return report

    async def _record_end(self, report: IncidentReport) -> None:
        """An end that can't be recorded fails the remediation, and people are told why nothing is promoted any more."""
        facts = {**self._progress.record(), "outcome": report.outcome.value, "sentence": report.sentence}
        refused = [r.model_dump(mode="json") for r in self._review.refused]
        try:
            await self._steps.record(AuditEvent.CLOSED, {**facts, "refused": refused})
        except ActivityError as error:
            self._telling.page(f"The end could not be recorded: {sentences.cause(error)}. What had happened: {report.sentence}")
            await self._telling.finished()
            raise

    async def _put_back(self) -> None:
        """What the manifest names serves again; where it names the challenger already, its former champion does."""
        facts = self._progress.facts
        try:
            deployment = await self._steps.restore()
            new = facts.refit.model.digest if facts.refit else None
            if deployment is not None and deployment.wanted == new and new is not None and facts.champion is not None:
                await self._steps.roll_back(new, "its promotion broke off")
        except ActivityError as error:
            self._telling.page(f"A promotion broke off and could not be undone: {sentences.cause(error)}")

    async def _undo_recalibration(self) -> None:
        try:
            await self._recalibrating.undo()
        except ActivityError as error:
            self._telling.page(f"A recalibration broke off and could not be undone: {sentences.cause(error)}")

    async def _clean_up(self) -> None:
        try:
            removal = await self._steps.clean_up()
        except ActivityError as error:
            self._progress.note(f"not cleaned up: {sentences.cause(error)}; `starter.py sweep` will")
            return
        for failure in removal.failed:
            self._progress.note(f"not removed: {failure}")
