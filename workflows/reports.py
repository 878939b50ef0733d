"""How an incident ended, in the words that a report, a notice and the record share."""

import asyncio

from temporalio.exceptions import is_cancelled_exception

from contracts.incident import IncidentReport, Outcome, RemediationRequest
from contracts.review import Resolution
from contracts.rollout import Promotion
from policies.review import Route, Routing
from workflows import sentences
from workflows.cancelling import told_to_stop
from workflows.progress import Progress

_HELD = {
    Resolution.EXPIRED: Outcome.EXPIRED,
    Resolution.VOIDED: Outcome.VOIDED,
    Resolution.HEALED: Outcome.HEALED,
}
"""What a review that kept the champion makes of the incident; HELD where a person did."""


class Reports:
    def __init__(self, request: RemediationRequest, progress: Progress) -> None:
        self._request = request
        self._progress = progress

    def of(self, outcome: Outcome, sentence: str) -> IncidentReport:
        facts = self._progress.facts
        promotion = facts.promotion
        new = promotion or facts.recalibration
        return IncidentReport(
            endpoint=self._request.endpoint,
            incident=self._request.incident,
            outcome=outcome,
            as_of=facts.snapshot.as_of if facts.snapshot else max(a.as_of for a in self._request.alarms),
            sentence=sentence,
            judgement=facts.judgement,
            review=facts.review,
            champion=facts.rolled_back_to or (new.manifest.champion.digest if new else None),
            former=new.former.digest if new and new.former else None,
            promoted=promotion is not None,
            automatic=promotion is not None and facts.review is None,
            recalibrated=facts.recalibration is not None,
            cost_usd=self._progress.cost_usd,
        )

    def short_of_data(self) -> IncidentReport:
        """Too little, or what can't be right: people have to mend the one and can wait for the other."""
        snapshot = self._progress.facts.snapshot
        broken = snapshot is not None and snapshot.coverage.broken
        return self.of(Outcome.BROKEN_DATA if broken else Outcome.SHORT_OF_DATA, self._progress.sentence)

    def promoted(self, promotion: Promotion) -> IncidentReport:
        review = self._progress.facts.review
        how = f"after {sentences.decided_by(review)}" if review else "by itself, on the evidence"
        return self.of(Outcome.PROMOTED, f"Promoted {promotion.manifest.champion.digest[:12]} {how}.")

    def held(self) -> IncidentReport:
        review = self._progress.facts.review
        how = _HELD.get(review.resolution, Outcome.HELD) if review else Outcome.HELD
        why = sentences.decided_by(review) if review else "; ".join(self._progress.facts.notes[-1:])
        return self.of(how, f"The champion stays: {why}.")

    def shadowed(self, routing: Routing) -> IncidentReport:
        """What the loop would have done, had it been allowed to act."""
        refit = self._progress.facts.refit
        would = {
            Route.PROMOTE: f"promoted {refit.model.digest[:12] if refit else 'the challenger'} by itself",
            Route.ASK: "asked a person",
            Route.HOLD: "kept the champion",
            Route.RECALIBRATE: "recalibrated the champion",
        }[routing.route]
        why = " and ".join(routing.reasons)
        return self.of(Outcome.SHADOWED, f"In shadow mode nothing was done. It would have {would}: {why}.")

    def broken_off(self, end: BaseException) -> IncidentReport:
        stage = self._progress.stage.value
        if is_cancelled_exception(end) or isinstance(end, asyncio.CancelledError) or told_to_stop():
            return self.of(Outcome.CANCELLED, f"Cancelled in stage {stage}.")
        return self.of(Outcome.FAILED, f"Failed in stage {stage}: {sentences.cause(end)}.")
