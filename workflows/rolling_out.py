"""Putting a model into service and keeping an eye on it: promote, bake, watch, and back where it is worse."""

from datetime import timedelta

from temporalio.exceptions import ActivityError, is_cancelled_exception

from contracts.audit import AuditEvent
from contracts.evaluation import Judgement
from contracts.incident import IncidentReport, Outcome, RemediationRequest, Stage, WaitingOn
from contracts.rollout import Promotion
from contracts.snapshot import Snapshot
from contracts.training import Recipe
from workflows import sentences
from workflows.cancelling import raise_if_cancelled
from workflows.progress import Progress
from workflows.reports import Reports
from workflows.steps import Steps
from workflows.telling import Telling


class RollingOut:
    """`begun` says that serving may have changed: whoever closes the incident then puts it back, unless it ended well."""

    def __init__(self, request: RemediationRequest, steps: Steps, progress: Progress, telling: Telling, reports: Reports) -> None:
        self._policy = request.policy.rollout
        self._training = request.policy.training
        self._steps = steps
        self._progress = progress
        self._telling = telling
        self._reports = reports
        self.begun = False

    async def promote(self, snapshot: Snapshot, judgement: Judgement) -> Promotion:
        """No record, no promotion."""
        facts = self._progress.facts
        assert facts.refit is not None
        self._progress.enter(Stage.PROMOTE, "Recording the decision, then putting the challenger into service.")
        await self._steps.record(AuditEvent.DECIDED, self._progress.record())
        self.begun = True
        expected = facts.champion.model.digest if facts.champion else None
        promotion = await self._steps.promote(snapshot, facts.refit, judgement, expected=expected, recipe=self._recipe())
        self._progress.learn(promotion=promotion)
        raise_if_cancelled()
        return promotion

    def _recipe(self) -> Recipe:
        """What the refit was fitted by: the bench may have advised a part of the declared members."""
        facts = self._progress.facts
        by_bench = facts.judged is None and facts.advice is not None
        return self._training.recipe.narrowed(facts.advice.members) if by_bench and facts.advice else self._steps.recipe

    async def bake(self, promotion: Promotion) -> IncidentReport | None:
        self._progress.enter(Stage.BAKE, "In service; the first minutes are watched.", WaitingOn.CLOCK)
        try:
            report = await self._steps.bake(promotion)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return await self._roll_back(promotion, f"It could not be baked: {sentences.cause(error)}")
        raise_if_cancelled()
        self._progress.note(report.sentence)
        return None if report.healthy else await self._roll_back(promotion, report.sentence)

    async def watch(self, promotion: Promotion) -> IncidentReport | None:
        if promotion.former is None or self._policy.watch <= timedelta(0):
            return None
        self._progress.enter(Stage.WATCH, "In service; late labels are held against the former champion.", WaitingOn.LABELS)
        try:
            report = await self._steps.watch(promotion)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._progress.note(f"The watch ended without all labels: {sentences.cause(error)}")
            return None
        self._progress.note(report.sentence)
        return await self._roll_back(promotion, report.sentence) if report.worse else None

    async def _roll_back(self, promotion: Promotion, why: str) -> IncidentReport:
        """A rollback that fails, or that has nothing to go back to, pages at once."""
        if promotion.former is None:
            sentence = f"The first champion is in trouble and there is none to go back to; it still serves. {why}"
            self._telling.page(sentence)
            return self._reports.of(Outcome.FAILED, sentence)
        self._progress.enter(Stage.ROLLBACK, f"Going back to the former champion: {why}")
        bad = promotion.manifest.champion.digest
        try:
            manifest = await self._steps.roll_back(bad, why)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            sentence = (
                f"The rollback of {bad[:12]} failed, and it still serves: {sentences.cause(error)}. It was wanted because: {why}"
            )
            self._telling.page(sentence)
            return self._reports.of(Outcome.FAILED, sentence)
        self._progress.learn(rolled_back_to=manifest.champion.digest)
        return self._reports.of(Outcome.ROLLED_BACK, f"Rolled back to {manifest.champion.digest[:12]}. {why}")
