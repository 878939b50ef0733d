"""Login by a company's issuer, which is a process of its own here, reached over HTTP, and able to lie."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from selenium.webdriver.common.by import By

from contracts.people import Person
from review.identity import NotAccepted
from review.oidc import Oidc, oidc_from
from runtime.errors import Misconfigured
from runtime.readiness import free_port, http_ready
from runtime.settings import Settings
from tests.review.chromium import chromium, complaints, needs_chromium, reads
from tests.review.oidc_issuer import CLIENT, PERSON, SECRET
from tests.review.page_harness import Shown, Visitor, hidden, shown

pytestmark = pytest.mark.processes


@dataclass(frozen=True)
class Company:
    url: str

    def turns(self, mode: str) -> int:
        """How it behaves from now on; returns how often its keys were asked for."""
        asked: int = httpx.post(f"{self.url}/mode", params={"name": mode}, timeout=10).json()["keys_asked"]
        return asked


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    port = free_port()
    script = Path(__file__).with_name("oidc_issuer.py")
    with subprocess.Popen([sys.executable, str(script), str(port)]) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 30
            while not http_ready(f"{url}/keys"):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield Company(url)
        finally:
            process.terminate()


@pytest.fixture
def page(company: Company, tmp_path: Path) -> Iterator[Shown]:
    company.turns("honest")
    with shown(tmp_path, endpoints=2, incidents=2, oidc=lambda url: an_oidc(company, url)) as found:
        yield found


def an_oidc(company: Company, url: str) -> Oidc:
    return Oidc(company.url, CLIENT, SECRET, f"{url}/login/callback", "email")


def to_issuer(visitor: Visitor, onward: str = "/") -> str:
    """Press the button; returns the address to which the browser is sent."""
    text = visitor.get("/login", params={"next": onward}).text
    answer = visitor.post("/login/issuer", csrf=hidden(text, "csrf"), next=onward)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def back(address: str) -> str:
    """What the issuer sends the browser back to, without the host."""
    there = httpx.get(address, timeout=10)
    assert there.status_code == 302, there.text
    url = urlsplit(there.headers["location"])
    return f"{url.path}?{url.query}"


def test_somebody_logs_in_by_their_company_and_goes_on_where_they_wanted_to(page: Shown) -> None:
    visitor = page.browser()
    address = to_issuer(visitor, "/audit")
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= asked.keys()
    assert SECRET not in address
    answer = visitor.get(back(address))
    assert (answer.status_code, answer.headers["location"]) == (303, "/audit")
    assert PERSON in visitor.get("/").text


def test_they_decide_under_their_name_in_the_fleet_file(page: Shown) -> None:
    row = page.waiting()
    status = page.loop.statuses[row.endpoint]
    assert status.state.policy is not None
    people = {"anna": Person(subjects=(PERSON,))}
    review = status.state.policy.review.model_copy(update={"people": people, "reviewers": ("anna",)})
    policy = status.state.policy.model_copy(update={"review": review})
    page.loop.statuses[row.endpoint] = status.model_copy(update={"state": status.state.model_copy(update={"policy": policy})})
    visitor = page.browser()
    visitor.get(back(to_issuer(visitor)))
    page.desk.refresher._asked.clear()
    visitor.get(f"/endpoint/{row.endpoint}")
    text = visitor.get(page.path(row)).text
    fields = {"csrf": hidden(text, "csrf"), "evidence": hidden(text, "evidence"), "answer": "approve", "note": ""}
    assert visitor.post(f"{page.path(row)}/decide", **fields).status_code == 303
    ((reviewer, how),) = page.vouching.vouched
    assert reviewer == "anna"
    assert how.startswith(f"logged in as {PERSON} by http://127.0.0.1")


LIES = [
    "other_nonce",
    "no_nonce",
    "other_audience",
    "two_audiences",
    "other_issuer",
    "expired",
    "unverified_mail",
    "no_mail",
    "unknown_key",
    "none",
    "hmac",
    "forged",
    "other_kind",
    "denied",
]


@pytest.mark.parametrize("mode", LIES)
def test_no_lie_of_an_issuer_logs_anybody_in(company: Company, mode: str) -> None:
    company.turns(mode)
    oidc = an_oidc(company, "http://127.0.0.1:1")

    async def log_in() -> None:
        came = urlsplit(back(await oidc.begin("a browser", "/")))
        await oidc.end("a browser", {name: values[0] for name, values in parse_qs(came.query).items()})

    with pytest.raises(NotAccepted):
        asyncio.run(log_in())


def test_a_lie_is_told_on_the_page_and_gives_no_session(page: Shown, company: Company) -> None:
    visitor = page.browser()
    came = to_issuer(visitor)
    company.turns("other_nonce")
    answer = visitor.get(back(came))
    assert answer.status_code == 403
    assert "answers another login" in answer.text
    assert visitor.get("/").status_code == 303


def test_a_login_ends_in_the_browser_in_which_it_began_and_only_once(page: Shown) -> None:
    visitor, other = page.browser(), page.browser()
    came = back(to_issuer(visitor))
    other.get("/login")
    assert other.get(came).status_code == 403, "somebody else's login, planted here"
    assert visitor.get(came).status_code == 403, "used up by the attempt"
    again = back(to_issuer(visitor))
    assert visitor.get(again).status_code == 303
    assert visitor.get(again).status_code == 403
    assert visitor.get("/login/callback").status_code == 403


def test_rotated_keys_are_fetched_and_unknown_ones_not_again_and_again(page: Shown, company: Company) -> None:
    visitor = page.browser()
    assert visitor.get(back(to_issuer(visitor))).status_code == 303
    assert page.desk.oidc is not None
    page.desk.oidc._keys = (page.desk.oidc._keys[0] - 60, page.desk.oidc._keys[1])
    before = company.turns("rotated")
    assert visitor.get(back(to_issuer(visitor))).status_code == 303
    company.turns("unknown_key")
    for _ in range(3):
        assert visitor.get(back(to_issuer(visitor))).status_code == 403
    assert company.turns("honest") <= before + 2


def test_an_issuer_that_is_down_or_calls_itself_otherwise_is_said(tmp_path: Path, company: Company) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with shown(tmp_path / "a", endpoints=1, incidents=1, oidc=lambda url: an_oidc(Company(nobody), url)) as page:
        answer = page.browser().get("/login")
        assert answer.status_code == 200
        assert "can&#39;t be reached" in answer.text
        assert "starter.py login" in answer.text, "the other way in is still there"
    company.turns("other_name")
    with shown(tmp_path / "b", endpoints=1, incidents=1, oidc=lambda url: an_oidc(company, url)) as page:
        assert "calls itself otherwise" in page.browser().get("/login").text


def test_the_settings_have_to_make_sense(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the file\n")
    found = oidc_from(Settings(oidc_issuer="https://login.example", oidc_client_id="c", oidc_client_secret_file=secret))
    assert found is not None
    assert (found.client_secret, found.callback) == ("of the file", "http://127.0.0.1:8089/login/callback")
    assert oidc_from(Settings()) is None
    with pytest.raises(Misconfigured, match="https"):
        oidc_from(Settings(oidc_issuer="http://login.example", oidc_client_id="c"))
    with pytest.raises(Misconfigured, match="CLIENT_ID"):
        oidc_from(Settings(oidc_issuer="https://login.example"))
    with pytest.raises(Misconfigured, match="can't be read"):
        oidc_from(Settings(oidc_issuer="https://login.example", oidc_client_id="c", oidc_client_secret_file=tmp_path / "no"))


@needs_chromium
def test_a_browser_goes_to_the_issuer_and_comes_back_logged_in(page: Shown, tmp_path: Path) -> None:
    with chromium(tmp_path / "browser") as driver:
        driver.get(f"{page.url}/login")
        driver.find_element(By.CSS_SELECTOR, 'form[action="/login/issuer"] button').click()
        reads(driver, "h1", "Inbox")
        reads(driver, ".who", PERSON)
        assert complaints(driver) == []
