"""An open review: bound to the evidence that it shows, decided once, by whom the policy lets decide."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from temporalio import workflow

from contracts.alarm import Cleared
from contracts.evaluation import Verdict
from contracts.incident import RemediationRequest
from contracts.review import (
    Asked,
    Counted,
    Decision,
    RefusedDecision,
    Resolution,
    ReviewOutcome,
    ReviewPolicy,
    Unverified,
    Vouched,
)
from policies import review as policy
from policies import review_rules as rules
from policies.intake import has_ended
from policies.review import Refusal, Refused

VOUCHED_RULES = 1
"""From these rules on a bare name counts only where the policy says so; before, it always did."""


LEAST_WAIT = timedelta(milliseconds=1)
"""Also where a worker comes late, so that a wait always has its timer."""


class ReviewWait:
    """Opened with an evidence digest; takes decisions, whichever way they came."""

    def __init__(self, request: RemediationRequest) -> None:
        self._rules = request.rules
        self._sources = tuple(alarm.source for alarm in request.alarms)
        self._left = request.alarms
        self._opened = workflow.now()
        self._evidence = ""
        self.open = False
        self.deadline: datetime | None = None
        self.outcome: ReviewOutcome | None = None
        self.counted: tuple[Counted, ...] = ()
        self.refused: tuple[RefusedDecision, ...] = ()
        self.configure(request.policy.review)

    def configure(self, review: ReviewPolicy) -> None:
        """Who may decide from now on; those who no longer may don't count any more. The deadline stays."""
        old = self._rules < VOUCHED_RULES
        self.policy = review.model_copy(update={"unverified": Unverified.ACCEPT}) if old else review
        if self.open and self.counted:
            self._settle(self.counted[-1])

    @property
    def case(self) -> rules.OpenReview:
        return rules.OpenReview(self.policy, self._evidence, self._opened, self._sources)

    @property
    def tally(self) -> rules.Tally:
        return rules.tally(case=self.case, counted=self.counted)

    @property
    def reviewers(self) -> tuple[str, ...]:
        """Who may decide now; empty: anybody."""
        return rules.may_decide(case=self.case, at=workflow.now())

    def start(self, *, evidence: str, reasons: tuple[str, ...]) -> Asked:
        self._evidence, self._opened, self.open = evidence, workflow.now(), True
        self.deadline = self._opened + self.policy.timeout
        if not self._left:
            self.end(Resolution.HEALED, "the alarms had cleared")
        return Asked(
            reasons=reasons,
            opened=self._opened,
            deadline=self.deadline,
            default=self.policy.default,
            reviewers=self.policy.reviewers,
            quorum=self.policy.quorum,
            four_eyes=self.policy.four_eyes,
            unverified=self.policy.unverified,
        )

    def refuse(self, decision: Decision) -> Refused | None:
        """None where the decision may count, as far as can be told before anybody vouches for it."""
        ended = self.outcome
        if ended is not None and ended.resolution in (Resolution.VOIDED, Resolution.HEALED):
            return Refused(Refusal.VOIDED, f"there is nothing left to decide: {ended.reason}")
        if ended is not None and ended.resolution is not Resolution.EXPIRED:
            return Refused(Refusal.ALREADY_DECIDED, "this review has been decided already")
        if not self.open:
            return Refused(Refusal.NOT_WAITING, "no review is open: there is nothing to decide yet")
        return rules.refuse(decision=decision, case=self.case, counted=self.counted, now=workflow.now())

    def unfit(self, decision: Decision, vouched: Vouched) -> Refused | None:
        return rules.unfit(decision, vouched, case=self.case, counted=self.counted)

    def count(self, decision: Decision, vouched: Vouched | None) -> ReviewOutcome:
        """What it comes to: the end of the review, or 'pending' where more people have to approve."""
        named = decision if decision.evidence else decision.model_copy(update={"evidence": self._evidence})
        seat = rules.seat_of(decision.reviewer, case=self.case, at=workflow.now())
        instead = seat.of if seat is not None and seat.delegated else ""
        entry = Counted(decision=named, vouched=vouched, at=workflow.now(), instead_of=instead)
        self.counted = (*self.counted, entry)
        return self._settle(entry)

    def _settle(self, newest: Counted) -> ReviewOutcome:
        tally = self.tally
        pending = bool(tally.missing) and not tally.rejected
        decided = Resolution.REJECTED if tally.rejected else Resolution.APPROVED
        outcome = ReviewOutcome(
            resolution=Resolution.PENDING if pending else decided,
            promote=not pending and not tally.rejected,
            decision=newest.decision,
            decided_at=workflow.now(),
            identity=rules.identity(tally.counting),
            decisions=tally.counting,
            reason=tally.missing if pending else "",
        )
        if not pending:
            self.outcome, self.open = outcome, False
        return outcome

    def note_refusal(self, reviewer: str, refusal: Refused, vouched: Vouched | None = None) -> None:
        entry = RefusedDecision(
            reviewer=reviewer[:200],
            reason=refusal.reason[:1000],
            at=workflow.now(),
            kind=refusal.kind.value,
            vouched=vouched,
        )
        self.refused = (*self.refused, entry)[-50:]

    def cleared(self, cleared: Cleared) -> None:
        """Once every alarm that opened the incident has cleared, nothing is left to decide."""
        there = bool(self._left)
        self._left = tuple(alarm for alarm in self._left if not has_ended(alarm=alarm, cleared=cleared))
        if there and not self._left and self.open:
            self.end(Resolution.HEALED, "the alarms have cleared")

    def end(self, resolution: Resolution, reason: str) -> None:
        """Without a decision: the champion stays."""
        if self.outcome is None:
            self.outcome = self._undecided(resolution, promote=False, reason=reason)
            self.open = False

    def expire(self, verdict: Verdict, *, broken_data: bool) -> ReviewOutcome:
        """Nobody answered: the declared default, unless the gate calls the challenger worse or the data is broken."""
        promote = policy.promotes_on_timeout(review=self.policy, verdict=verdict, broken_data=broken_data)
        self.open = False
        reason = f"missing: {self.tally.missing}" if self.counted else ""
        self.outcome = self._undecided(Resolution.EXPIRED, promote=promote, reason=reason)
        return self.outcome

    def _undecided(self, resolution: Resolution, *, promote: bool, reason: str) -> ReviewOutcome:
        return ReviewOutcome(
            resolution=resolution,
            promote=promote,
            decided_at=workflow.now(),
            identity="nobody",
            decisions=self.tally.counting,
            reason=reason,
        )

    def withdraw(self, resolution: Resolution, reasons: Sequence[str]) -> ReviewOutcome:
        """An approval that can't be carried out: what it rests on has changed, or one of its conditions doesn't hold."""
        assert self.outcome is not None  # it was approved, or its default was to promote
        changed = {"resolution": resolution, "promote": False, "reason": " ".join(reasons)}
        self.outcome = self.outcome.model_copy(update=changed)
        return self.outcome

    async def ended(self, *, until: datetime, summary: str, busy: Callable[[], bool]) -> bool:
        """True as soon as it has ended; False when the time is up and nobody's decision is being looked at (`busy`)."""
        left = max(until - workflow.now(), LEAST_WAIT)
        try:
            await workflow.wait_condition(lambda: self.outcome is not None, timeout=left, timeout_summary=summary)
        except TimeoutError:
            await workflow.wait_condition(lambda: self.outcome is not None or not busy())
        return self.outcome is not None
