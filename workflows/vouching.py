"""From a decision as it came to one that counts: refused at once, or vouched for by what its ticket stands for."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.review import ReviewActivities
from contracts.incident import RemediationRequest
from contracts.review import Decision, NotVouched, ReviewOutcome, Verified, VerifyDecision
from policies.review import Refused
from workflows import options, sentences
from workflows.review_wait import ReviewWait


class Vouching:
    def __init__(self, request: RemediationRequest, review: ReviewWait) -> None:
        self._request = request
        self.review = review
        self._under_way = 0

    @property
    def busy(self) -> bool:
        """Whether a decision that came in time is still being looked at."""
        return self._under_way > 0

    async def take(self, decision: Decision) -> ReviewOutcome | Refused:
        """A refusal is kept for status and record. What is refused without a look at its ticket is refused at once."""
        refusal = self.review.refuse(decision)
        if refusal is not None:
            self.review.note_refusal(decision.reviewer, refusal)
            return refusal
        if decision.ticket is None:
            return self.review.count(decision, None)
        return await self._verified(decision)

    async def _verified(self, decision: Decision) -> ReviewOutcome | Refused:
        self._under_way += 1
        try:
            answer = await self._ask(decision)
        finally:
            self._under_way -= 1
        return self._counted(decision, answer)

    def _counted(self, decision: Decision, answer: Verified) -> ReviewOutcome | Refused:
        """Meanwhile the review may have ended, or the same ticket may have come a second time: all is asked again."""
        vouched = answer.vouched
        refusal = (
            Refused(answer.refusal or NotVouched.FORGED, answer.reason)
            if vouched is None
            else self.review.unfit(decision, vouched) or self.review.refuse(decision)
        )
        if refusal is None:
            return self.review.count(decision, vouched)
        self.review.note_refusal(decision.reviewer, refusal, vouched)
        return refusal

    async def _ask(self, decision: Decision) -> Verified:
        case = self.review.case
        request = VerifyDecision(
            endpoint=self._request.endpoint,
            incident=self._request.incident,
            evidence=case.evidence,
            decision=decision,
            people=case.review.people,
            issuers=case.review.issuers,
            at=workflow.now(),
        )
        try:
            return await workflow.execute_activity_method(
                ReviewActivities.verify_decision, request, summary="who vouches for it", **options.VERIFY
            )
        except ActivityError as error:
            return Verified(refusal=NotVouched.UNREACHABLE, reason=f"it could not be verified: {sentences.cause(error)}")
