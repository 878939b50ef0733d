"""From the verdict to what happens: by itself, by a person, or not at all."""

from temporalio import workflow

from contracts.bench import Judging
from contracts.evaluation import Judgement, Verdict
from contracts.incident import RemediationRequest, Stage, WaitingOn
from contracts.review import Resolution, ReviewOutcome
from contracts.snapshot import Snapshot
from policies import review as review_policy
from policies.intake import BY_BENCH
from policies.review import Route, Routing
from workflows import notices
from workflows.progress import Progress
from workflows.review_wait import ReviewWait
from workflows.steps import Steps
from workflows.telling import Telling


class Deciding:
    def __init__(
        self, request: RemediationRequest, steps: Steps, progress: Progress, telling: Telling, review: ReviewWait
    ) -> None:
        self._request = request
        self._policy = request.policy.review
        self._steps = steps
        self._progress = progress
        self._telling = telling
        self._review = review

    def routed(self, judgement: Judgement | None, snapshot: Snapshot) -> Routing:
        """Where the verdict leads, noted for the record."""
        routing = self._same_model() or self.route(judgement.verdict if judgement else None, snapshot)
        self._progress.note("; ".join(routing.reasons))
        return routing

    def route(self, verdict: Verdict | None, snapshot: Snapshot) -> Routing:
        return review_policy.route(
            verdict=verdict,
            review=self._policy,
            tokens=self._request.promotion_tokens,
            short_of_data=not snapshot.coverage.sufficient,
            broken_data=snapshot.coverage.broken,
            recalibration=self.recalibration_wanted,
            by_bench=self.by_bench,
        )

    @property
    def recalibration_wanted(self) -> bool:
        advice = self._progress.facts.advice
        return advice is not None and advice.recalibration is not None and advice.recalibration.changed

    @property
    def unanswered(self) -> bool:
        """Whether a person was asked and the time ran out."""
        review = self._progress.facts.review
        return review is not None and review.resolution is Resolution.EXPIRED

    @property
    def by_bench(self) -> bool:
        """Whether nobody but the shadow bench raised an alarm."""
        judging = self._request.policy.training.judging
        return judging is Judging.SHADOW and all(alarm.kind in BY_BENCH for alarm in self._request.alarms)

    def _same_model(self) -> Routing | None:
        """The recipe on these rows gives the champion again: there is nothing to promote and nothing to ask."""
        facts = self._progress.facts
        if facts.champion is None or facts.refit is None or facts.champion.model != facts.refit.model:
            return None
        return Routing(Route.HOLD, ("the challenger is the champion, byte for byte",))

    async def promotes(self, judgement: Judgement, routing: Routing) -> bool:
        """Whether the challenger is to be promoted, by the evidence or by a person."""
        if routing.route is not Route.ASK:
            return routing.route is Route.PROMOTE
        outcome = await self._ask(judgement, routing)
        self._progress.learn(review=outcome)
        return outcome.promote

    async def _ask(self, judgement: Judgement, routing: Routing) -> ReviewOutcome:
        self._review.start(evidence=judgement.evidence)
        self._progress.learn(asked_because=routing.reasons)
        self._progress.enter(Stage.REVIEW, f"Waiting for a reviewer: {judgement.sentence}", WaitingOn.PERSON)
        notice = notices.review_notice(
            key=self._steps.key("review"),
            request=self._request,
            workflow_id=workflow.info().workflow_id,
            judgement=judgement,
            why=routing.reasons,
            deadline=self._review.deadline,
        )
        review = self._policy
        first = min(review.remind_after, review.timeout)
        self._telling.send(notice)
        if not await self._review.decided(first, "reminder") and first < review.timeout:
            self._telling.send(notices.reminder(notice))
            await self._review.decided(review.timeout - first, f"deadline, then: {review.default.value}")
        snapshot = self._progress.facts.snapshot
        broken = snapshot is not None and snapshot.coverage.broken
        return self._review.outcome or self._review.expire(judgement.verdict, broken_data=broken)
