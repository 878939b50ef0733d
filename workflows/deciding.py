"""From the verdict to what happens: by itself, by a person, or not at all."""

from contracts.bench import Judging
from contracts.evaluation import Judgement, Verdict
from contracts.fleet import Tier
from contracts.incident import RemediationRequest
from contracts.review import Resolution
from contracts.snapshot import Snapshot
from policies import review as review_policy
from policies.intake import BY_BENCH
from policies.review import Route, Routing
from workflows.asking import Asking
from workflows.progress import Progress


class Deciding:
    def __init__(self, request: RemediationRequest, progress: Progress, asking: Asking) -> None:
        self._request = request
        self._policy = request.policy.review
        self._progress = progress
        self._asking = asking

    def routed(self, judgement: Judgement | None, snapshot: Snapshot) -> Routing:
        """Where the verdict leads, noted for the record."""
        routing = self._same_model() or self.route(judgement.verdict if judgement else None, snapshot, judgement)
        self._progress.note("; ".join(routing.reasons))
        return routing

    def route(self, verdict: Verdict | None, snapshot: Snapshot, judgement: Judgement | None = None) -> Routing:
        return review_policy.route(
            verdict=verdict,
            review=self._policy,
            tokens=self._request.promotion_tokens,
            short_of_data=not snapshot.coverage.sufficient,
            broken_data=snapshot.coverage.broken,
            recalibration=self.recalibration_wanted,
            by_bench=self.by_bench,
            grounds=review_policy.grounds(
                critical=self._request.policy.tier is Tier.CRITICAL,
                first=self._progress.facts.champion is None,
                judgement=judgement,
            ),
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
        outcome = await self._asking.outcome(judgement, routing)
        self._progress.learn(review=outcome)
        return outcome.promote
