"""Which decisions count, whose, and what those that counted come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.people import Delegation
from contracts.review import Counted, Decision, NotVouched, ReviewPolicy, Unverified, Vouched, VouchedBy
from policies.review import Refusal, Refused
from policies.reviewers import deciders, members, roles_of
from policies.vouching import withdrawn

BY_HAND = "by hand: "
"""In front of the person in the source of an alarm that a person raised."""
UNVERIFIED = "unverified"
_WEAKEST_FIRST = (VouchedBy.LOCAL_KEY, VouchedBy.PAGE, VouchedBy.OWN_KEY, VouchedBy.ISSUER)


@dataclass(frozen=True)
class OpenReview:
    """What the rules need to know of a review that waits."""

    review: ReviewPolicy
    evidence: str
    opened: datetime
    sources: tuple[str, ...] = ()
    """Of the incident's alarms."""


@dataclass(frozen=True)
class Seat:
    """In which place somebody decides: their own, or another's who delegated it."""

    of: str
    delegated: bool = False


@dataclass(frozen=True)
class Tally:
    """What those that counted come to."""

    counting: tuple[Counted, ...]
    """Of whom the present policy lets decide."""
    rejected: bool
    missing: str
    """Who has to approve besides; empty: the quorum is met."""


def refuse(*, decision: Decision, case: OpenReview, counted: Sequence[Counted], now: datetime) -> Refused | None:
    """None where the decision may count, once somebody vouches for it or nobody has to."""
    if decision.evidence is not None and decision.evidence != case.evidence:
        said, rests = decision.evidence[:12], case.evidence[:12]
        return Refused(
            Refusal.EVIDENCE_CHANGED, f"the decision names evidence {said}, the open review rests on {rests}: look again"
        )
    if decision.ticket is None and case.review.unverified is Unverified.REFUSE:
        return Refused(Refusal.UNVERIFIED, "nobody vouches for it, and the policy says `unverified: refuse`: sign it")
    if decision.ticket is not None and any(one.decision.ticket == decision.ticket for one in counted):
        return Refused(Refusal.TICKET_USED, "this ticket has counted already: it counts once")
    return _refuse_person(decision, case, counted, now)


def _refuse_person(decision: Decision, case: OpenReview, counted: Sequence[Counted], now: datetime) -> Refused | None:
    who = decision.reviewer
    seat = seat_of(who, case=case, at=now)
    if seat is None:
        return Refused(Refusal.NOT_AN_APPROVER, f"{who!r} is not among the reviewers ({_allowed(case, now)})")
    if not decision.approve:
        return None
    if case.review.four_eyes and (_raised(who, case) or _raised(seat.of, case)):
        return Refused(
            Refusal.FOUR_EYES, f"{who!r} raised the alarm by hand, and the policy wants four eyes: somebody else has to"
        )
    if any(_same(one, who, seat) for one in tally(case=case, counted=counted).counting):
        return Refused(Refusal.COUNTED_ALREADY, f"the approval of {seat.of!r} counts already, and the same person counts once")
    return None


def _same(one: Counted, who: str, seat: Seat) -> bool:
    return one.decision.approve and (who == one.decision.reviewer or seat.of == (one.instead_of or one.decision.reviewer))


def seat_of(who: str, *, case: OpenReview, at: datetime) -> Seat | None:
    """Their own seat, or that of the first who delegated theirs to them; None where they may not decide."""
    may = deciders(case.review)
    if may is None:
        return Seat(who)
    allowed = {*may, *escalated(case=case, at=at)}
    if who in allowed:
        return Seat(who)
    return next((Seat(one.of, delegated=True) for one in _delegated(who, case, at) if one.of in allowed), None)


def may_decide(*, case: OpenReview, at: datetime) -> tuple[str, ...]:
    """Everybody who may, those included who stand in for another; empty: anybody."""
    may = deciders(case.review)
    if may is None:
        return ()
    allowed = tuple(dict.fromkeys((*may, *escalated(case=case, at=at))))
    standing_in = (one.to for one in case.review.delegations if at < one.until and one.of in allowed)
    return tuple(dict.fromkeys((*allowed, *standing_in)))


def to_ask(*, case: OpenReview, at: datetime) -> tuple[str, ...]:
    """Who is told of the review when it opens: those listed, or whoever may decide, and those who stand in for them."""
    listed = case.review.reviewers or deciders(case.review) or ()
    standing_in = [name for name in may_decide(case=case, at=at) if name not in members(listed, case.review)]
    return tuple(dict.fromkeys((*listed, *standing_in)))


def escalated(*, case: OpenReview, at: datetime) -> tuple[str, ...]:
    """Whom the ladder lets decide by now."""
    reached = (step for step in case.review.escalate if step.may_decide and case.opened + step.after <= at)
    return members((name for step in reached for name in step.tell), case.review)


def _delegated(who: str, case: OpenReview, at: datetime) -> list[Delegation]:
    return [one for one in case.review.delegations if one.to == who and at < one.until]


def _raised(who: str, case: OpenReview) -> bool:
    """By hand, under this name, a login name of this person's, or the name before the machine's."""
    person = case.review.people.get(who)
    names = {who, *(person.subjects if person else ())}
    raisers = {source.removeprefix(BY_HAND) for source in case.sources if source.startswith(BY_HAND)}
    return bool(names & (raisers | {raiser.partition("@")[0] for raiser in raisers}))


def _allowed(case: OpenReview, now: datetime) -> str:
    names = dict.fromkeys([*case.review.reviewers, *(deciders(case.review) or () if not case.review.reviewers else ())])
    more = [name for name in escalated(case=case, at=now) if name not in names]
    return ", ".join([*names, *more][:20])


def tally(*, case: OpenReview, counted: Sequence[Counted]) -> Tally:
    """By the present policy: who was taken out of it meanwhile no longer counts."""
    counting = tuple(one for one in counted if _still_counts(one, case))
    approving = [one for one in counting if one.decision.approve]
    return Tally(
        counting=counting, rejected=any(not one.decision.approve for one in counting), missing=_missing(approving, case.review)
    )


def _still_counts(one: Counted, case: OpenReview) -> bool:
    if one.vouched is None and case.review.unverified is Unverified.REFUSE:
        return False
    if one.vouched is not None and withdrawn(one.vouched, case.review):
        return False
    return seat_of(one.decision.reviewer, case=case, at=one.at) is not None


def _missing(approving: Sequence[Counted], review: ReviewPolicy) -> str:
    quorum = review.quorum
    seats = [one.instead_of or one.decision.reviewer for one in approving]
    wanted = [f"{quorum.count - len(seats)} more"] if len(seats) < quorum.count else []
    for role, least in quorum.roles.items():
        there = sum(role in roles_of(seat, review) for seat in seats)
        if there < least:
            wanted.append(f"{least - there} with the role {role}")
    return " and ".join(wanted)


def identity(counting: Sequence[Counted]) -> str:
    """How the weakest of those that counted is vouched for."""
    if not counting or any(one.vouched is None for one in counting):
        return UNVERIFIED
    return min((one.vouched.how for one in counting if one.vouched), key=_WEAKEST_FIRST.index).value


def unfit(decision: Decision, vouched: Vouched, *, case: OpenReview, counted: Sequence[Counted]) -> Refused | None:
    """None where the one who signed is the one who decides, by a key that still counts and a token that hasn't counted."""
    if vouched.person != decision.reviewer:
        signed, named = vouched.person, decision.reviewer
        return Refused(Refusal.OTHER_PERSON, f"it is signed by {signed!r}, but names {named!r} as the reviewer")
    if withdrawn(vouched, case.review):
        return Refused(NotVouched.UNKNOWN_KEY, "what vouches for it has been taken out of the policy: sign with another key")
    if vouched.token_id and any(one.vouched is not None and one.vouched.token_id == vouched.token_id for one in counted):
        return Refused(Refusal.TICKET_USED, "its token has counted already, under another ticket: it counts once")
    return None
