"""Asking people: put the evidence before them, remind, escalate, and stop asking when it no longer holds."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

from contracts.evaluation import Judgement
from contracts.incident import RemediationRequest, Stage, WaitingOn
from contracts.live_inputs import LiveInputs
from contracts.notices import Told
from contracts.people import Step
from contracts.review import Notice, Resolution, ReviewOutcome
from policies import review_inputs
from policies import review_rules as rules
from policies.review import Routing
from policies.review_times import Moment, moments
from workflows import notices
from workflows.live_inputs import Inputs
from workflows.progress import Progress
from workflows.review_wait import VOUCHED_RULES
from workflows.steps import Steps
from workflows.telling import Telling
from workflows.vouching import Vouching


class Asking:
    def __init__(
        self, request: RemediationRequest, steps: Steps, progress: Progress, telling: Telling, vouching: Vouching
    ) -> None:
        self._request = request
        self._steps = steps
        self._progress = progress
        self._telling = telling
        self._vouching = vouching
        self._review = vouching.review
        self._inputs = Inputs(request)
        self._looks = request.rules >= VOUCHED_RULES

    async def outcome(self, judgement: Judgement, routing: Routing) -> ReviewOutcome:
        champion = self._progress.facts.champion
        then = LiveInputs(champion=champion.model.digest if champion else None)
        if self._looks:
            then = await self._inputs.at_opening(then.champion)
        try:
            outcome = await self._answered(judgement, routing, then)
            return await self._still_holds(outcome, judgement, then) if outcome.promote and self._looks else outcome
        except (Exception, asyncio.CancelledError) as end:
            if is_cancelled_exception(end):
                self._review.end(Resolution.VOIDED, "the incident was cancelled, as before a rollback by hand")
                self._progress.learn(review=self._review.outcome)
            raise

    async def _answered(self, judgement: Judgement, routing: Routing, then: LiveInputs) -> ReviewOutcome:
        notice = self._put(judgement, routing)
        if self._review.outcome is not None:
            return self._review.outcome
        self._tell(notice)
        looks = self._looks and self._request.policy.review.recheck_every > timedelta(0)
        watching = self._inputs.watch(then, self._void, self._progress.note) if looks else None
        try:
            await self._wait(notice)
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        snapshot = self._progress.facts.snapshot
        broken = snapshot is not None and snapshot.coverage.broken
        return self._review.outcome or self._review.expire(judgement.verdict, broken_data=broken)

    def _put(self, judgement: Judgement, routing: Routing) -> Notice:
        asked = self._review.start(evidence=judgement.evidence, reasons=routing.reasons)
        self._progress.learn(asked_because=routing.reasons, asked=asked)
        self._progress.enter(Stage.REVIEW, f"Waiting for a reviewer: {judgement.sentence}", WaitingOn.PERSON)
        return notices.review_notice(
            key=self._steps.key("review"),
            request=self._request,
            workflow_id=workflow.info().workflow_id,
            judgement=judgement,
            why=routing.reasons,
            deadline=asked.deadline,
            recipients=rules.to_ask(case=self._review.case, at=asked.opened),
        )

    async def _wait(self, notice: Notice) -> None:
        """One timer a moment at which people are told something, and one for the deadline."""
        assert notice.deadline is not None
        review, opened = self._review.policy, workflow.now()
        reminders = 0
        for moment in moments(review=review, opened=opened):
            if await self._review.ended(until=moment.at, summary=_summary(moment), busy=self._busy):
                return
            reminders += moment.remind
            self._speak_up(notice, moment, reminders, review.escalate)
        last = f"deadline, then: {review.default.value}"
        await self._review.ended(until=notice.deadline, summary=last, busy=self._busy)

    def _busy(self) -> bool:
        return self._vouching.busy

    def _speak_up(self, notice: Notice, moment: Moment, reminders: int, ladder: Sequence[Step]) -> None:
        if moment.remind:
            self._tell(notices.reminder(notice, reminders))
        for step in moment.steps:
            self._tell(notices.escalation(notice, step, ladder.index(step) + 1))

    def _tell(self, notice: Notice) -> None:
        told = Told(kind=notice.kind, at=workflow.now(), to=notice.recipients)
        self._progress.learn(told=(*self._progress.facts.told, told))
        self._telling.send(notice)

    def _void(self, reasons: Sequence[str]) -> None:
        self._review.end(Resolution.VOIDED, " ".join(reasons))

    async def _still_holds(self, outcome: ReviewOutcome, judgement: Judgement, then: LiveInputs) -> ReviewOutcome:
        """At the moment of promotion: what the evidence rests on, and the conditions of every approval."""
        conditions = tuple(dict.fromkeys(one for counted in outcome.decisions for one in counted.decision.only_if))
        inputs = await self._inputs.now(conditions, self._review.case.opened)
        changed = review_inputs.changes(then=then, now=inputs, stale_after=self._request.policy.review.stale_after)
        if changed:
            return self._review.withdraw(Resolution.VOIDED, changed)
        unmet = review_inputs.unmet(conditions=conditions, now=workflow.now(), then=then, inputs=inputs, judgement=judgement)
        return self._review.withdraw(Resolution.UNMET, unmet) if unmet else outcome


def _summary(moment: Moment) -> str:
    return " and ".join([*(["reminder"] if moment.remind else []), *(["escalation"] if moment.steps else [])])
