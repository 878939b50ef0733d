"""The wait for a person: bound to the evidence it shows, decided once."""

from datetime import datetime, timedelta

from temporalio import workflow

from contracts.evaluation import Verdict
from contracts.review import Decision, RefusedDecision, Resolution, ReviewOutcome, ReviewPolicy
from policies import review as policy
from policies.review import Refused


class ReviewWait:
    """Opened with an evidence digest; `offer` takes decisions from updates and signals alike."""

    def __init__(self, review: ReviewPolicy) -> None:
        self._review = review
        self._evidence = ""
        self.open = False
        self.deadline: datetime | None = None
        self.outcome: ReviewOutcome | None = None
        self.refused: tuple[RefusedDecision, ...] = ()

    def refuse(self, decision: Decision) -> Refused | None:
        decided = self.outcome is not None and self.outcome.resolution is not Resolution.EXPIRED
        return policy.refuse(decision=decision, waiting=self.open, decided=decided, evidence=self._evidence, review=self._review)

    def offer(self, decision: Decision) -> ReviewOutcome | None:
        """None where the decision doesn't count; the refusal is kept."""
        refusal = self.refuse(decision)
        if refusal is not None:
            self.note_refusal(decision.reviewer, refusal.reason)
            return None
        named = decision if decision.evidence else decision.model_copy(update={"evidence": self._evidence})
        resolution = Resolution.APPROVED if decision.approve else Resolution.REJECTED
        self.outcome = ReviewOutcome(resolution=resolution, promote=decision.approve, decision=named, decided_at=workflow.now())
        self.open = False
        return self.outcome

    def note_refusal(self, reviewer: str, reason: str) -> None:
        entry = RefusedDecision(reviewer=reviewer[:200], reason=reason[:1000], at=workflow.now())
        self.refused = (*self.refused, entry)[-50:]

    def start(self, *, evidence: str) -> None:
        self._evidence, self.open = evidence, True
        self.deadline = workflow.now() + self._review.timeout

    async def decided(self, within: timedelta, summary: str) -> bool:
        """True as soon as a decision counts, False when the time is up."""
        try:
            await workflow.wait_condition(lambda: self.outcome is not None, timeout=within, timeout_summary=summary)
        except TimeoutError:
            return False
        return True

    def expire(self, verdict: Verdict, *, broken_data: bool) -> ReviewOutcome:
        """Nobody answered: the declared default, unless the gate calls the challenger worse or the data is broken."""
        promote = policy.promotes_on_timeout(review=self._review, verdict=verdict, broken_data=broken_data)
        self.open = False
        self.outcome = ReviewOutcome(resolution=Resolution.EXPIRED, promote=promote, decided_at=workflow.now(), identity="nobody")
        return self.outcome
