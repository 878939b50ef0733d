"""Which channels a notice goes to, whom a channel reaches alone, and how long one that is down is tried."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.alarm import Severity
from contracts.notices import NoticeKind
from contracts.review import Notice, ReviewPolicy
from policies.addressing import addressed, keep_trying_until, superseded

NOW = datetime(2024, 6, 1, tzinfo=UTC)
DEADLINE = NOW + timedelta(hours=20)


def a_notice(kind: NoticeKind = NoticeKind.REVIEW, **changes: Any) -> Notice:
    given = {"key": "k", "kind": kind, "endpoint": "bikes", "incident": "i", "title": "t", "sentence": "s", "deadline": DEADLINE}
    return Notice.model_validate(given | changes)


def a_review(**changes: Any) -> ReviewPolicy:
    return ReviewPolicy.model_validate(
        {
            "people": {
                "ada": {"channels": ["ada-mail"]},
                "grace": {"channels": ["grace-mail"], "roles": ["business"]},
                "linus": {},
            },
            "groups": {"owners": ["ada", "grace"]},
            "reviewers": ["ada"],
            "reach": {
                "team": {"url": "slack://${TEAM}"},
                "pager": {"url": "${PAGER}", "kinds": ["page", "escalation"]},
                "ada-mail": {"url": "mailto://mail.example.com?to=ada@example.com"},
                "grace-mail": {"url": "mailto://mail.example.com?to=grace@example.com"},
            },
            "channels": ["team", "pager"],
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("kind", "recipients", "channels"),
    [
        (NoticeKind.REVIEW, ("ada",), ["team", "ada-mail"]),
        (NoticeKind.REVIEW, (), ["team", "ada-mail"]),
        (NoticeKind.PAGE, ("ada",), ["team", "pager", "ada-mail"]),
        (NoticeKind.OUTCOME, ("group:owners",), ["team", "ada-mail", "grace-mail"]),
        (NoticeKind.ESCALATION, ("role:business",), ["grace-mail"]),
        (NoticeKind.ESCALATION, ("pager", "grace"), ["pager", "grace-mail"]),
        (NoticeKind.ESCALATION, ("linus",), ["team", "pager"]),
    ],
)
def test_a_notice_goes_to_the_endpoints_channels_and_to_those_of_whom_it_is_for(
    kind: NoticeKind, recipients: tuple[str, ...], channels: list[str]
) -> None:
    assert list(addressed(a_notice(kind, recipients=recipients), a_review()).channels) == channels


def test_without_channels_nothing_is_addressed() -> None:
    assert addressed(a_notice(), ReviewPolicy()).channels == {}


def test_one_address_under_two_names_is_told_once() -> None:
    review = a_review(
        reach={"one": {"url": "slack://${TEAM}"}, "two": {"url": "slack://${TEAM}"}}, channels=["one", "two"], people={}
    )
    assert list(addressed(a_notice(), review).channels) == ["one"]


def test_only_a_channel_of_one_person_is_personal() -> None:
    assert addressed(a_notice(), a_review()).personal == {"ada-mail": "ada"}
    shared = a_review(people={"ada": {"channels": ["ada-mail"]}, "grace": {"channels": ["ada-mail"]}})
    assert addressed(a_notice(), shared).personal == {}
    assert addressed(a_notice(), a_review(channels=["ada-mail"])).personal == {}
    rung = a_review(escalate=[{"after": "1h", "tell": ["ada-mail"]}])
    assert addressed(a_notice(), rung).personal == {}


@pytest.mark.parametrize(
    ("notice", "until"),
    [
        (a_notice(), DEADLINE),
        (a_notice(NoticeKind.REMINDER), DEADLINE),
        (a_notice(deadline=NOW), NOW + timedelta(minutes=1)),
        (a_notice(NoticeKind.OUTCOME), NOW + timedelta(hours=6)),
        (a_notice(NoticeKind.PAGE), NOW + timedelta(hours=24)),
        (a_notice(NoticeKind.PAGE, severity=Severity.CRITICAL), NOW + timedelta(hours=72)),
    ],
)
def test_what_asks_is_tried_until_its_deadline_and_a_critical_page_for_longest(notice: Notice, until: datetime) -> None:
    assert keep_trying_until(notice, NOW) == until


def test_a_newer_notice_overtakes_only_what_asked_through_the_same_channels() -> None:
    review = a_review()
    late, newer = addressed(a_notice(), review), addressed(a_notice(NoticeKind.OUTCOME, key="o"), review)
    assert superseded(late, newer)
    assert not superseded(late, addressed(a_notice(NoticeKind.ESCALATION, key="e", recipients=("grace",)), review))
    assert not superseded(late, newer.model_copy(update={"incident": "another"}))
    assert not superseded(addressed(a_notice(NoticeKind.PAGE), review), newer)
