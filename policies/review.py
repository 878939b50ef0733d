"""When a person is asked, and which answers count."""

from dataclasses import dataclass
from enum import StrEnum

from contracts.evaluation import Verdict
from contracts.review import Decision, Default, ReviewPolicy


class Route(StrEnum):
    """Where a verdict leads."""

    PROMOTE = "promote"
    ASK = "ask"
    HOLD = "hold"
    RECALIBRATE = "recalibrate"
    """The champion stays, with another shift."""


@dataclass(frozen=True)
class Routing:
    route: Route
    reasons: tuple[str, ...]
    """Why a person is asked, or why nobody is."""


class Refusal(StrEnum):
    """Why a decision doesn't count; also the type of the error that the caller gets."""

    ALREADY_DECIDED = "AlreadyDecided"
    NOT_WAITING = "NotWaiting"
    EVIDENCE_CHANGED = "EvidenceChanged"
    NOT_AN_APPROVER = "NotAnApprover"
    MALFORMED = "Malformed"


@dataclass(frozen=True)
class Refused:
    kind: Refusal
    reason: str


def route(
    *,
    verdict: Verdict | None,
    review: ReviewPolicy,
    tokens: float,
    short_of_data: bool,
    broken_data: bool = False,
    recalibration: bool = False,
    by_bench: bool = False,
) -> Routing:
    """Promote by itself where the evidence is good and the budget allows; ask where the policy wants a person.

    Where the challenger is not to be promoted, a recalibration that the champion wants (`recalibration`) is carried out instead
    of asking; and for alarms of the shadow bench's own (`by_bench`) nobody is asked: it looks again at the next turn. No verdict
    means that there was only a recalibration to look at.
    """
    if verdict is not Verdict.PROMOTE:
        found = f"the verdict is {verdict.value}" if verdict else "the bench has no verdict yet"
        if recalibration and not broken_data:
            return Routing(Route.RECALIBRATE, (f"{found}, and the champion's own record asks for another shift",))
        if verdict is None or by_bench:
            return Routing(Route.HOLD, (f"{found}, and the shadow bench looks again at its next turn",))
    reasons = []
    if broken_data:
        reasons.append("the window's rows can't be right")
    elif short_of_data:
        reasons.append("the window holds less data than its policy wants")
    if verdict in review.ask_on:
        reasons.append(f"the verdict is {verdict.value}")
    if verdict is Verdict.PROMOTE and tokens < 1:
        reasons.append(f"the promotion budget is used up ({tokens:.2f} of 1 needed)")
    if reasons:
        return Routing(Route.ASK, tuple(reasons))
    if verdict is Verdict.PROMOTE:
        return Routing(Route.PROMOTE, ("the gate's conditions all hold",))
    return Routing(Route.HOLD, (f"the verdict is {verdict.value}, for which nobody is asked",))


def refuse(*, decision: Decision, waiting: bool, decided: bool, evidence: str, review: ReviewPolicy) -> Refused | None:
    """None where the decision counts."""
    if decided:
        return Refused(Refusal.ALREADY_DECIDED, "this review has been decided already")
    if not waiting:
        return Refused(Refusal.NOT_WAITING, "no review is open: there is nothing to decide yet")
    if decision.evidence is not None and decision.evidence != evidence:
        said, now = decision.evidence[:12], evidence[:12]
        return Refused(
            Refusal.EVIDENCE_CHANGED, f"the decision names evidence {said}, the open review rests on {now}: look again"
        )
    if review.reviewers and decision.reviewer not in review.reviewers:
        allowed = ", ".join(review.reviewers)
        return Refused(Refusal.NOT_AN_APPROVER, f"{decision.reviewer!r} is not among the reviewers ({allowed})")
    return None


def promotes_on_timeout(*, review: ReviewPolicy, verdict: Verdict, broken_data: bool = False) -> bool:
    """A declared default of 'promote' never promotes what the gate calls worse, nor what was learned from broken data."""
    return review.default is Default.PROMOTE and verdict is not Verdict.REGRESS and not broken_data
