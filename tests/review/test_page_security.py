"""Who may look, who may act, and what a browser is told so that nobody can act in another's name."""

import re
import socket
import time
from urllib.parse import urlsplit

import pytest

from contracts.review import Decision
from review.forms import local_path
from review.limits import Limit
from review.loop import Refused
from review.sessions import Sessions
from tests.review.page_harness import TICKET, Shown, Visitor, a_link, hidden

PAGES = ["/", "/fleet", "/incidents", "/audit", "/audit/1", "/endpoint/bikes-000", "/evidence/a/b/c.html"]
ACTS = ["/endpoint/bikes-000/pause", "/endpoint/bikes-000/rollback", "/audit/verify", "/logout"]


@pytest.mark.parametrize("path", PAGES)
def test_without_a_login_every_page_leads_to_the_login_and_shows_nothing(page: Shown, path: str) -> None:
    answer = page.browser().get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")
    assert answer.text == ""


@pytest.mark.parametrize("path", [*PAGES[:6], "/login", "/nowhere", "/static/page.css"])
def test_every_answer_carries_the_headers_that_keep_a_browser_safe(page: Shown, path: str) -> None:
    headers = page.logged_in().get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("path", PAGES[:6])
def test_no_page_holds_script_or_style_of_its_own(page: Shown, path: str) -> None:
    text = page.logged_in().get(path).text
    assert re.findall(r"<script(?! src=)", text) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", text) == []


def test_the_cookie_can_be_read_by_no_script_and_is_not_sent_along_by_others(page: Shown) -> None:
    visitor = page.browser()
    answer = visitor.log_in("once-bert-1")
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("homeostat="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    assert Sessions(secure=True).cookie.startswith("__Host-")


def test_a_login_gives_a_new_session_and_ends_the_one_before(page: Shown) -> None:
    visitor = page.browser()
    visitor.log_in("once-anna-1")
    before = visitor.client.cookies["homeostat"]
    visitor.log_in("once-anna-2")
    assert visitor.client.cookies["homeostat"] != before
    thief = page.browser(cookies={"homeostat": before})
    assert thief.get("/fleet").status_code == 303


def test_after_logging_out_the_cookie_is_worth_nothing(fresh: Shown) -> None:
    visitor = fresh.logged_in()
    kept = visitor.client.cookies["homeostat"]
    assert visitor.post("/logout", csrf=hidden(visitor.get("/").text, "csrf")).status_code == 303
    assert fresh.browser(cookies={"homeostat": kept}).get("/").status_code == 303


def test_a_one_time_link_is_used_up_by_its_button_only_and_only_once(page: Shown) -> None:
    for _ in range(3):
        assert page.browser().get("/login", params={"token": "once-carl-1"}).status_code == 200
    assert page.browser().log_in("once-carl-1").status_code == 303
    second = page.browser().log_in("once-carl-1")
    assert second.status_code == 403
    assert "works once" in second.text


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://127.0.0.1:1"])
def test_a_form_from_elsewhere_is_refused(page: Shown, path: str, origin: str | None) -> None:
    visitor = page.logged_in()
    csrf = hidden(visitor.get("/").text, "csrf")
    assert visitor.post(path, origin=origin, csrf=csrf, reason="why").status_code == 403
    assert page.loop.told == []


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("csrf", ["", "guessed", "ü"])
def test_a_form_without_this_sessions_token_is_refused(page: Shown, path: str, csrf: str) -> None:
    assert page.logged_in().post(path, csrf=csrf, reason="why").status_code == 403
    assert page.loop.told == []


def test_another_sessions_token_is_refused(page: Shown) -> None:
    other = hidden(page.logged_in("bert").get("/").text, "csrf")
    assert page.logged_in().post("/endpoint/bikes-000/pause", csrf=other, reason="why").status_code == 403


@pytest.mark.parametrize("path", [*ACTS, "/link/decide", "/endpoint/bikes-000/incident/x/decide"])
def test_looking_at_an_act_does_nothing(page: Shown, path: str) -> None:
    assert page.logged_in().get(path).status_code == 405
    assert page.loop.told == page.loop.decided == []


def test_a_login_may_be_tried_ten_times_and_then_has_to_wait(fresh: Shown) -> None:
    visitor = fresh.browser()
    answers = [visitor.log_in(f"guess-{n}") for n in range(12)]
    assert {answer.status_code for answer in answers[:10]} == {403}
    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_acts_have_a_limit_too(fresh: Shown) -> None:
    visitor = fresh.logged_in()
    csrf = hidden(visitor.get("/").text, "csrf")
    codes = [visitor.post("/endpoint/churn-001/resume", csrf=csrf, reason="").status_code for _ in range(32)]
    assert codes[:30] == [303] * 30
    assert codes[-1] == 429


def test_a_limit_fills_again_with_time_and_forgets_the_oldest() -> None:
    now = [0.0]
    limit = Limit(burst=2, per_minute=60, clock=lambda: now[0])
    assert [limit.wait("a") for _ in range(3)] == [0, 0, 1]
    assert limit.wait("b") == 0
    now[0] = 1.0
    assert limit.wait("a") == 0


def test_a_session_ends_by_itself(monkeypatch: pytest.MonkeyPatch, fresh: Shown) -> None:
    now = [time.monotonic()]
    monkeypatch.setattr(fresh.desk.sessions, "_clock", lambda: now[0])
    visitor = fresh.logged_in()
    now[0] += 3600
    assert visitor.get("/").status_code == 200
    now[0] += 2.1 * 3600
    assert visitor.get("/").status_code == 303


@pytest.mark.parametrize(
    "onward", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\n", "/\t/evil.example"]
)
def test_no_path_leads_to_another_site(onward: str) -> None:
    assert local_path(onward) == "/"
    assert local_path("/endpoint/bikes?page=2") == "/endpoint/bikes?page=2"


def test_a_login_goes_on_where_one_wanted_to_go_and_nowhere_else(page: Shown) -> None:
    for onward, where in (("//evil.example", "/"), ("/audit", "/audit")):
        visitor = page.browser()
        text = visitor.get("/login", params={"next": onward, "token": "once-dora-1"}).text
        token = f"once-anna-{time.monotonic_ns()}"
        answer = visitor.post("/login", csrf=hidden(text, "csrf"), token=token, next=onward)
        assert answer.headers["location"] == where


def test_a_page_of_another_name_is_not_ours(page: Shown) -> None:
    """DNS rebinding: the browser says the name that its user typed."""
    assert page.browser().get("/login", headers={"host": "evil.example"}).status_code == 400


def test_bodies_and_addresses_are_bounded(page: Shown) -> None:
    visitor = page.logged_in()
    assert visitor.post("/endpoint/bikes-000/pause", csrf="x", reason="a" * 70_000).status_code == 413
    assert visitor.get("/fleet", params={"q": "a" * 9000}).status_code == 414
    many = {f"f{n}": "1" for n in range(40)}
    assert visitor.post("/endpoint/bikes-000/pause", **many).status_code == 400
    answer = visitor.client.post("/audit/verify", json={}, headers={"origin": page.url})
    assert answer.status_code == 415


def test_a_body_that_lies_about_its_length_is_cut_off(page: Shown) -> None:
    url = urlsplit(page.url)
    visitor = page.logged_in()
    head = (
        f"POST /audit/verify HTTP/1.1\r\nhost: {url.netloc}\r\norigin: {page.url}\r\ncookie: homeostat="
        f"{visitor.client.cookies['homeostat']}\r\ncontent-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    with socket.create_connection((url.hostname, url.port), timeout=10) as raw:
        raw.sendall(head.encode())
        for _ in range(9):
            raw.sendall(b"2000\r\n" + b"a" * 0x2000 + b"\r\n")
        assert b" 413 " in raw.recv(200)


def test_the_lists_take_any_page_number_and_any_word(page: Shown) -> None:
    visitor = page.logged_in()
    for path in ("/fleet", "/incidents", "/audit", "/endpoint/bikes-000"):
        for number in ("0", "-1", "99999", "1e9", "²", "", "9" * 60):
            assert visitor.get(path, params={"page": number, "q": "<b>'\"", "endpoint": "\x00%"}).status_code == 200


def decide(page: Shown, visitor: Visitor, answer: str, note: str = "", **changes: str) -> int:
    path = page.path(page.waiting())
    text = visitor.get(path).text
    fields = {"csrf": hidden(text, "csrf"), "evidence": hidden(text, "evidence"), "note": note, "answer": answer, **changes}
    return visitor.post(f"{path}/decide", **fields).status_code


def test_a_decision_is_vouched_for_by_the_page_and_names_the_evidence_that_was_shown(fresh: Shown) -> None:
    row = fresh.waiting()
    assert decide(fresh, fresh.logged_in(), "approve", "looks right", only_if="no_new_alarm\nchampion_unchanged\n") == 303
    ((name, decision),) = fresh.loop.decided
    assert name == row.name
    assert decision == Decision(
        approve=True,
        reviewer="anna",
        note="looks right",
        evidence=row.status.evidence if row.status else None,
        ticket=TICKET,
        only_if=("no_new_alarm", "champion_unchanged"),
    )
    assert fresh.vouching.vouched == [("anna", "one-time link")]
    assert (
        "Approved by anna" in fresh.logged_in().get(fresh.path(row)).text
        or "Review approved by anna" in fresh.logged_in().get(fresh.path(row)).text
    )


def test_a_rejection_wants_a_note_and_loses_nothing_that_was_typed(fresh: Shown) -> None:
    visitor = fresh.logged_in()
    assert decide(fresh, visitor, "reject") == 422
    assert decide(fresh, visitor, "approve", "my words", only_if="whenever") == 422
    assert fresh.loop.decided == []
    assert decide(fresh, visitor, "reject", "the holiday is not in the window") == 303
    assert fresh.loop.decided[0][1].note == "the holiday is not in the window"


def test_a_refusal_of_the_loop_is_shown_with_what_to_do_and_the_note_stays(fresh: Shown) -> None:
    fresh.loop.refusing = Refused("the decision names evidence 1, the open review rests on 2: look again", "EvidenceChanged")
    visitor, path = fresh.logged_in(), fresh.path(fresh.waiting())
    text = visitor.get(path).text
    answer = visitor.post(
        f"{path}/decide", csrf=hidden(text, "csrf"), evidence=hidden(text, "evidence"), note="my <words>", answer="approve"
    )
    assert answer.status_code == 409
    assert "Read it again" in answer.text
    assert "my &lt;words&gt;</textarea>" in answer.text


def test_a_link_in_a_notice_shows_by_itself_and_decides_by_its_form_only(fresh: Shown) -> None:
    row, visitor = fresh.waiting(), fresh.browser()
    fresh.vouching.links["signed"] = a_link(row, "bert")
    page = visitor.get("/link", params={"token": "signed"})
    assert page.status_code == 200
    assert row.endpoint in page.text
    assert fresh.loop.decided == []
    assert visitor.get("/fleet").status_code == 303, "the link opens this one review and nothing else"
    sent = {"token": "signed", "evidence": hidden(page.text, "evidence"), "answer": "approve", "note": ""}
    assert visitor.post("/link/decide", origin="https://evil.example", **sent).status_code == 403
    assert visitor.post("/link/decide", **{**sent, "evidence": "0" * 64}).status_code == 409
    assert visitor.post("/link/decide", **sent).status_code == 200
    assert fresh.loop.decided[0][1].reviewer == "bert"
    assert fresh.vouching.vouched == [("bert", "link in a notice")]


def test_a_forged_link_opens_nothing(page: Shown) -> None:
    for path in ("/link?token=forged", "/link", "/link/evidence/a.html?token=forged"):
        answer = page.browser().get(path)
        assert answer.status_code == 403
        assert "was not made here" in answer.text


def test_an_operator_pauses_and_rolls_back_with_a_reason(fresh: Shown) -> None:
    visitor = fresh.logged_in()
    csrf = hidden(visitor.get("/endpoint/churn-001").text, "csrf")
    assert visitor.post("/endpoint/churn-001/pause", csrf=csrf, reason="").status_code == 422
    assert visitor.post("/endpoint/churn-001/pause", csrf=csrf, reason="holiday").status_code == 303
    assert visitor.post("/endpoint/churn-001/rollback", csrf=csrf, reason="worse").status_code == 303
    assert visitor.post("/endpoint/nobody/rollback", csrf=csrf, reason="worse").status_code == 404
    assert [(name, said.by, said.reason) for name, said in fresh.loop.told] == [
        ("churn-001", "anna", "holiday"),
        ("churn-001", "anna", "worse"),
    ]
