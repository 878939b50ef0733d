"""Who stands behind a decision."""

from temporalio import activity

from activities.failures import translated
from contracts.review import NotVouched, Verified, VerifyDecision
from platforms.errors import Corrupt, NotFound
from platforms.ports import Platform


class ReviewActivities:
    def __init__(self, platform: Platform) -> None:
        self._vault = platform.vault
        self._identity = platform.identity

    @activity.defn
    @translated
    def verify_decision(self, request: VerifyDecision) -> Verified:
        """By the token that lies under the decision's ticket. Fails only where an issuer's keys can't be had."""
        ticket = request.decision.ticket
        if ticket is None:
            return _refused(NotVouched.UNKNOWN_TICKET, "it has no ticket: sign the decision")
        try:
            token = self._vault.read(ticket)
        except NotFound:
            return _refused(NotVouched.UNKNOWN_TICKET, f"nothing lies under ticket {ticket[:12]}: sign the decision again")
        except Corrupt as error:
            return _refused(NotVouched.FORGED, str(error))
        return self._identity.verify(request, token)


def _refused(kind: NotVouched, reason: str) -> Verified:
    return Verified(refusal=kind, reason=reason)
