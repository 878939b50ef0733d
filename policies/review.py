"""When a person is asked, and what happens when nobody answers. Which answers count: `policies/review_rules.py`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from contracts.evaluation import Judgement, Verdict
from contracts.review import Default, Ground, NotVouched, ReviewPolicy

_IN_WORDS = {
    Ground.CRITICAL_TIER: "the endpoint's tier is critical",
    Ground.SLICE_HURT: "a slice is worse beyond chance, though within its margin",
    Ground.FIRST_PROMOTION: "it would be the endpoint's first champion",
}


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
    VOIDED = "Voided"
    """What it decides on no longer holds, or has healed."""
    EVIDENCE_CHANGED = "EvidenceChanged"
    NOT_AN_APPROVER = "NotAnApprover"
    UNVERIFIED = "Unverified"
    """Nobody vouches for it, and the policy wants somebody to."""
    OTHER_PERSON = "OtherPerson"
    """Signed by somebody else than it names."""
    TICKET_USED = "TicketUsed"
    COUNTED_ALREADY = "CountedAlready"
    """The same person has approved already, and the quorum waits for others."""
    FOUR_EYES = "FourEyes"
    MALFORMED = "Malformed"


@dataclass(frozen=True)
class Refused:
    kind: Refusal | NotVouched
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
    grounds: Sequence[Ground] = (),
) -> Routing:
    """Promote by itself where the evidence is good and the budget allows; ask where the policy wants a person.

    Where the challenger is not to be promoted, a recalibration that the champion wants (`recalibration`) is carried out instead
    of asking; and for alarms of the shadow bench's own (`by_bench`) nobody is asked: it looks again at the next turn. No verdict
    means that there was only a recalibration to look at. `grounds` are those that hold, asked about by the policy or not.
    """
    if verdict is not Verdict.PROMOTE:
        found = f"the verdict is {verdict.value}" if verdict else "the bench has no verdict yet"
        if recalibration and not broken_data:
            return Routing(Route.RECALIBRATE, (f"{found}, and the champion's own record asks for another shift",))
        if verdict is None or by_bench:
            return Routing(Route.HOLD, (f"{found}, and the shadow bench looks again at its next turn",))
    reasons = [*_of_the_data(short=short_of_data, broken=broken_data), *_of_the_verdict(verdict, review, tokens, grounds)]
    if reasons:
        return Routing(Route.ASK, tuple(reasons))
    if verdict is Verdict.PROMOTE:
        return Routing(Route.PROMOTE, ("the gate's conditions all hold",))
    return Routing(Route.HOLD, (f"the verdict is {verdict.value}, for which nobody is asked",))


def _of_the_data(*, short: bool, broken: bool) -> Iterator[str]:
    if broken:
        yield "the window's rows can't be right"
    elif short:
        yield "the window holds less data than its policy wants"


def _of_the_verdict(verdict: Verdict, review: ReviewPolicy, tokens: float, holding: Sequence[Ground]) -> Iterator[str]:
    if verdict in review.ask_on:
        yield f"the verdict is {verdict.value}"
    if verdict is not Verdict.PROMOTE:
        return
    if tokens < 1:
        yield f"the promotion budget is used up ({tokens:.2f} of 1 needed)"
    yield from (_IN_WORDS[ground] for ground in holding if ground in review.also_ask)


def grounds(*, critical: bool, first: bool, judgement: Judgement | None) -> tuple[Ground, ...]:
    """What holds of an endpoint and its evidence, for which a policy may want a person."""
    found = {
        Ground.CRITICAL_TIER: critical,
        Ground.SLICE_HURT: judgement is not None and any(one.evaluable and one.high < 0 for one in judgement.slices),
        Ground.FIRST_PROMOTION: first,
    }
    return tuple(ground for ground, holds in found.items() if holds)


def promotes_on_timeout(*, review: ReviewPolicy, verdict: Verdict, broken_data: bool = False) -> bool:
    """A declared default of 'promote' never promotes what the gate calls worse, nor what was learned from broken data."""
    return review.default is Default.PROMOTE and verdict is not Verdict.REGRESS and not broken_data
