"""Signed links: for one person and one review, or to log in once; and nothing else opens anything."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.review import Decision, VouchedBy
from contracts.vouching import Link, LinkFault, Login, RefusedLink
from runtime import identity
from runtime.settings import Settings
from runtime.wiring import platform_from
from tests.platforms.signatures import a_request

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
EVIDENCE = "e" * 64
INCIDENT = "20260304T000000Z-1f2e3d"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def a_link(settings: Settings, expires: datetime = NOW + timedelta(hours=24)) -> str:
    return identity.link_token(
        settings, person="ana", endpoint="bikes", incident=INCIDENT, evidence=EVIDENCE, expires=expires, now=NOW
    )


def fault(found: Link | Login | RefusedLink) -> LinkFault:
    assert isinstance(found, RefusedLink), found
    assert found.reason
    return found.kind


def test_a_link_opens_the_review_that_it_was_made_for_as_often_as_one_likes(settings: Settings) -> None:
    token = a_link(settings)
    for _ in range(2):
        link = identity.read_link(settings, token, now=NOW + timedelta(hours=23))
        assert isinstance(link, Link)
        assert (link.person, link.endpoint, link.incident, link.evidence) == ("ana", "bikes", INCIDENT, EVIDENCE)
        assert link.expires_at == NOW + timedelta(hours=24)


def test_a_link_ends_with_the_deadline_and_after_a_month_at_the_latest(settings: Settings) -> None:
    at_deadline = identity.read_link(settings, a_link(settings), now=NOW + timedelta(hours=24))
    assert fault(at_deadline) is LinkFault.EXPIRED
    long = a_link(settings, expires=NOW + timedelta(days=400))
    assert isinstance(identity.read_link(settings, long, now=NOW + timedelta(days=30)), Link)
    assert fault(identity.read_link(settings, long, now=NOW + timedelta(days=31))) is LinkFault.EXPIRED


def test_a_link_from_elsewhere_or_for_something_else_opens_nothing(settings: Settings, tmp_path: Path) -> None:
    elsewhere = a_link(Settings(home=tmp_path / "other"))
    login = identity.login_token(settings, person="ana", now=NOW)
    for token in (elsewhere, login, a_link(settings)[:-4] + "AAAA", "", "x.y.z", "é" * 9000):
        assert fault(identity.read_link(settings, token, now=NOW)) is LinkFault.FORGED
    assert fault(identity.redeem_login(settings, a_link(settings), now=NOW)) is LinkFault.FORGED


def test_a_login_works_once_even_after_a_restart_and_for_two_at_the_same_time(settings: Settings) -> None:
    token = identity.login_token(settings, person="ana", now=NOW)
    with ThreadPoolExecutor(4) as threads:
        tries = [threads.submit(identity.redeem_login, settings, token, now=NOW) for _ in range(4)]
    found = [each.result() for each in tries]
    assert [each.person for each in found if isinstance(each, Login)] == ["ana"]
    assert {fault(each) for each in found if isinstance(each, RefusedLink)} == {LinkFault.USED}


def test_a_login_is_good_for_minutes(settings: Settings) -> None:
    token = identity.login_token(settings, person="ana", now=NOW)
    assert fault(identity.redeem_login(settings, token, now=NOW + timedelta(minutes=10))) is LinkFault.EXPIRED
    assert fault(identity.redeem_login(settings, token, now=NOW - timedelta(minutes=5))) is LinkFault.NOT_YET_VALID


def test_nothing_can_be_redeemed_before_anything_was_made(settings: Settings) -> None:
    assert fault(identity.redeem_login(settings, "x.y.z", now=NOW)) is LinkFault.FORGED
    assert not settings.home.exists()


def test_what_the_page_signs_for_a_login_is_vouched_for_by_the_platform(settings: Settings) -> None:
    decision = Decision(approve=True, reviewer="ana", note="worth it", evidence=EVIDENCE)
    ready = identity.page_decision(
        settings,
        endpoint="bikes",
        incident=INCIDENT,
        evidence=EVIDENCE,
        decision=decision,
        login="logged in as ana@example.com by https://login.example.com",
        now=NOW,
    )
    assert ready.ticket is not None
    platform = platform_from(settings)
    answer = platform.identity.verify(a_request(decision=ready, at=NOW), platform.vault.read(ready.ticket))
    assert answer.vouched is not None, answer.reason
    assert answer.vouched.how is VouchedBy.PAGE
    assert answer.vouched.ticket == ready.ticket
    assert answer.vouched.login.startswith("logged in as ana@example.com")
