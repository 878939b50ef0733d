"""Which decisions count, whose, and what they come to."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.review import Counted, Decision, ReviewPolicy, Vouched, VouchedBy
from policies.review_rules import OpenReview, escalated, identity, may_decide, refuse, seat_of, tally, to_ask, unfit
from policies.vouching import key_id

OPENED = datetime(2026, 3, 2, 9, tzinfo=UTC)
EVIDENCE, TICKET = "e" * 64, "a" * 64
PEOPLE = {
    "ada": {"roles": ["ml"], "subjects": ["ada@example.com"]},
    "grace": {"roles": ["business"]},
    "linus": {"roles": ["ml", "business"]},
}


def a_case(sources: tuple[str, ...] = (), **policy: Any) -> OpenReview:
    review = ReviewPolicy.model_validate({"people": PEOPLE, "groups": {"owners": ["ada", "grace"]}, **policy})
    return OpenReview(review, EVIDENCE, OPENED, sources)


def said(reviewer: str = "ada", **changes: Any) -> Decision:
    return Decision.model_validate({"approve": True, "reviewer": reviewer, "evidence": EVIDENCE, "ticket": TICKET, **changes})


def counted(reviewer: str, *, approve: bool = True, instead_of: str = "", how: VouchedBy | None = VouchedBy.OWN_KEY) -> Counted:
    vouched = Vouched(person=reviewer, how=how, ticket="b" * 64) if how else None
    return Counted(decision=said(reviewer, approve=approve, ticket="b" * 64), vouched=vouched, at=OPENED, instead_of=instead_of)


def kind(decision: Decision, case: OpenReview, *before: Counted, after: timedelta = timedelta(hours=1)) -> str | None:
    found = refuse(decision=decision, case=case, counted=before, now=OPENED + after)
    return found.kind.value if found else None


@pytest.mark.parametrize(
    ("policy", "reviewer", "wanted"),
    [
        ({}, "ada", None),
        ({}, "mallory", "NotAnApprover"),
        ({"people": {}, "groups": {}}, "anybody", None),
        ({"people": {}, "groups": {}, "reviewers": ["ada"]}, "anybody", "NotAnApprover"),
        ({"reviewers": ["group:owners"]}, "grace", None),
        ({"reviewers": ["group:owners"]}, "linus", "NotAnApprover"),
        ({"reviewers": ["role:ml"]}, "linus", None),
        ({"reviewers": ["role:ml"]}, "grace", "NotAnApprover"),
        ({"reviewers": ["group:gone"]}, "ada", "NotAnApprover"),
    ],
)
def test_who_may_decide_is_whom_the_policy_names(policy: dict[str, Any], reviewer: str, wanted: str | None) -> None:
    assert kind(said(reviewer), a_case(**policy)) == wanted


def test_evidence_tickets_and_bare_names_are_looked_at_before_anything_else() -> None:
    case = a_case()
    assert kind(said(evidence="f" * 64), case) == "EvidenceChanged"
    assert kind(said(ticket=None), case) == "Unverified"
    assert kind(said(ticket=None), a_case(unverified="accept")) is None
    used = counted("grace").model_copy(update={"decision": said("grace")})
    assert kind(said("ada"), case, used) == "TicketUsed"


def test_an_approval_counts_once_a_person_and_once_a_seat() -> None:
    case = a_case(
        reviewers=["ada", "grace"],
        quorum={"count": 2},
        delegations=[{"of": "grace", "to": "linus", "until": OPENED + timedelta(days=1)}],
    )
    once_more = said("ada", ticket="c" * 64)
    assert kind(once_more, case, counted("ada")) == "CountedAlready"
    assert kind(said("grace"), case, counted("linus", instead_of="grace")) == "CountedAlready"
    assert kind(said("linus"), case, counted("grace")) == "CountedAlready"
    assert kind(said("linus"), case, counted("ada")) is None
    assert kind(said("ada", approve=False), case, counted("ada")) is None, "who approved may still reject"


def test_a_delegation_holds_to_its_end_and_passes_on_what_the_other_may() -> None:
    until = OPENED + timedelta(hours=2)
    case = a_case(reviewers=["grace"], delegations=[{"of": "grace", "to": "ada", "until": until}])
    assert kind(said("ada"), case, after=timedelta(minutes=119)) is None
    assert kind(said("ada"), case, after=timedelta(hours=2)) == "NotAnApprover"
    nobody = a_case(reviewers=["linus"], delegations=[{"of": "grace", "to": "ada", "until": until}])
    assert kind(said("ada"), nobody) == "NotAnApprover", "grace herself may not"


def test_the_ladder_lets_decide_only_from_its_hour_on() -> None:
    case = a_case(
        reviewers=["ada"],
        escalate=[{"after": "4h", "tell": ["role:business"], "may_decide": True}, {"after": "1h", "tell": ["linus"]}],
    )
    assert kind(said("grace"), case, after=timedelta(hours=3)) == "NotAnApprover"
    assert kind(said("grace"), case, after=timedelta(hours=4)) is None
    assert escalated(case=case, at=OPENED + timedelta(hours=2)) == ()


@pytest.mark.parametrize(
    ("source", "reviewer", "wanted"),
    [
        ("by hand: ada@laptop", "ada", "FourEyes"),
        ("by hand: ada@example.com", "ada", "FourEyes"),
        ("by hand: ada", "ada", "FourEyes"),
        ("by hand: ada@laptop", "grace", None),
        ("by hand: grace@laptop", "linus", "FourEyes"),
        ("monitor", "ada", None),
        ("ada", "ada", None),
    ],
)
def test_four_eyes_look_past_whoever_raised_the_alarm_and_who_stands_in_for_them(
    source: str, reviewer: str, wanted: str | None
) -> None:
    delegations = [{"of": "grace", "to": "linus", "until": OPENED + timedelta(days=1)}]
    case = a_case((source,), four_eyes=True, reviewers=["ada", "grace"], delegations=delegations)
    assert kind(said(reviewer), case) == wanted
    assert kind(said(reviewer, approve=False), case) is None


@pytest.mark.parametrize(
    ("quorum", "approving", "missing"),
    [
        ({}, (), "1 more"),
        ({}, ("ada",), ""),
        ({"count": 2}, ("ada",), "1 more"),
        ({"count": 2, "roles": {"ml": 1, "business": 1}}, ("ada", "grace"), ""),
        ({"count": 2, "roles": {"ml": 1, "business": 1}}, ("linus",), "1 more"),
        ({"roles": {"business": 2}}, ("linus",), "1 with the role business"),
        ({"count": 3, "roles": {"ml": 2}}, ("grace",), "2 more and 2 with the role ml"),
    ],
)
def test_a_quorum_says_who_is_missing(quorum: dict[str, Any], approving: tuple[str, ...], missing: str) -> None:
    found = tally(case=a_case(quorum=quorum), counted=[counted(name) for name in approving])
    assert (found.missing, found.rejected) == (missing, False)


def test_who_is_no_longer_in_the_policy_no_longer_counts() -> None:
    before = [counted("ada"), counted("grace", how=None)]
    assert tally(case=a_case(unverified="accept", quorum={"count": 2}), counted=before).missing == ""
    assert tally(case=a_case(quorum={"count": 2}), counted=before).missing == "1 more", "bare names stopped counting"
    gone = a_case(unverified="accept", reviewers=["grace"], quorum={"count": 2})
    assert [one.decision.reviewer for one in tally(case=gone, counted=before).counting] == ["grace"]


def test_whoever_may_decide_is_asked_and_those_who_stand_in_for_them_are_too() -> None:
    standing_in = [{"of": "grace", "to": "linus", "until": OPENED + timedelta(days=1)}]
    case = a_case(reviewers=["group:owners"], delegations=standing_in)
    assert to_ask(case=case, at=OPENED) == ("group:owners", "linus")
    assert may_decide(case=case, at=OPENED) == ("ada", "grace", "linus")
    assert to_ask(case=case, at=OPENED + timedelta(days=1)) == ("group:owners",)
    assert to_ask(case=a_case(), at=OPENED) == ("ada", "grace", "linus")
    assert to_ask(case=a_case(people={}, groups={}), at=OPENED) == ()


def test_a_delegated_approval_fills_the_roles_of_the_seat() -> None:
    case = a_case(
        reviewers=["grace"],
        quorum={"roles": {"business": 1}},
        delegations=[{"of": "grace", "to": "ada", "until": OPENED + timedelta(days=1)}],
    )
    assert seat_of("ada", case=case, at=OPENED) is not None
    assert tally(case=case, counted=[counted("ada", instead_of="grace")]).missing == ""


def test_the_weakest_voucher_names_the_identity() -> None:
    own, page = counted("a", how=VouchedBy.OWN_KEY), counted("b", how=VouchedBy.PAGE)
    local = counted("c", how=VouchedBy.LOCAL_KEY)
    assert identity([own]) == "own key"
    assert identity([own, page]) == "review page"
    assert identity([own, page, local]) == "local key"
    assert identity([own, counted("d", how=None)]) == "unverified"
    assert identity([]) == "unverified"


def unfit_kind(decision: Decision, vouched: Vouched, case: OpenReview, *before: Counted) -> str | None:
    found = unfit(decision, vouched, case=case, counted=before)
    return found.kind.value if found else None


def test_who_signed_is_who_decides() -> None:
    vouched = Vouched(person="grace", how=VouchedBy.OWN_KEY, ticket=TICKET)
    assert unfit_kind(said("ada"), vouched, a_case()) == "OtherPerson"
    assert unfit_kind(said("grace"), vouched, a_case()) is None


def test_one_token_under_two_tickets_counts_once() -> None:
    vouched = Vouched(person="ada", how=VouchedBy.ISSUER, ticket=TICKET, token_id="one")
    before = counted("ada").model_copy(update={"vouched": vouched.model_copy(update={"ticket": "c" * 64})})
    assert unfit_kind(said("ada"), vouched, a_case(), before) == "TicketUsed"
    assert unfit_kind(said("ada"), vouched.model_copy(update={"token_id": "two"}), a_case(), before) is None


def test_a_key_or_an_issuer_that_is_taken_out_of_the_policy_takes_its_decisions_with_it() -> None:
    company = {"issuer": "https://login.example.com", "audience": "a", "jwks": "keys.json"}
    case = a_case(people={"ada": {"keys": ["ada's key"]}, "grace": {}}, issuers={"company": company})
    own = Vouched(person="ada", how=VouchedBy.OWN_KEY, by=key_id("ada's key"), ticket=TICKET)
    issued = Vouched(person="grace", how=VouchedBy.ISSUER, by=company["issuer"], ticket=TICKET)
    votes = [counted(one.person).model_copy(update={"vouched": one}) for one in (own, issued)]
    assert len(tally(case=case, counted=votes).counting) == 2
    assert unfit_kind(said("ada"), own, case) is None
    gone = a_case(people={"ada": {"keys": ["a new key"]}, "grace": {}})
    assert tally(case=gone, counted=votes).counting == ()
    assert [unfit_kind(said(one.person), one, gone) for one in (own, issued)] == ["UnknownKey"] * 2
