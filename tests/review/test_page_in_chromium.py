"""The review page in a real browser: by keyboard, without JavaScript, on a phone, in the dark, and with hostile words in it."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from bench.generated_fleet import digest
from contracts.incident import Pause
from contracts.review import RefusedDecision
from tests.review.chromium import chromium, complaints, needs_chromium, reads, scheme, size
from tests.review.looks import CONTRAST, FAULTS
from tests.review.page_harness import Shown, a_link, shown

pytestmark = [needs_chromium, pytest.mark.processes]
HOSTILE = '<img src=x onerror="window.pwned=1">\'"><script>window.pwned=1</script>{{7*7}}\u202egnp.exe\n\x1b[31m'
REPORT = (
    b"<!doctype html><html lang=en><title>r</title><body><h1 id=said>report</h1><img src='http://127.0.0.1:1/x'>"
    b"<script>parent.document.body.dataset.pwned='1';document.getElementById('said').textContent='ran'</script></body></html>"
)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    with chromium(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Shown]:
    with shown(tmp_path / "home", endpoints=11, incidents=14) as found:
        yield found


def begin(driver: WebDriver) -> None:
    """Nothing is left of an earlier page: neither its cookies nor its complaints."""
    driver.delete_all_cookies()
    driver.get("about:blank")
    complaints(driver)


def log_in(driver: WebDriver, page: Shown, name: str = "anna") -> None:
    begin(driver)
    driver.get(f"{page.url}/login?token={quote(f'once-{name}-{len(page.vouching.used)}')}")
    driver.find_element(By.CSS_SELECTOR, 'form[action="/login"] button').click()
    reads(driver, "h1", "Inbox")


def pages(page: Shown) -> list[str]:
    row = page.waiting()
    closed = next(one for one in page.desk.book.newest() if not one.open and one.records)
    return [
        "/",
        "/fleet",
        "/incidents",
        "/audit",
        f"/audit/{closed.records[0]}",
        f"/endpoint/{row.endpoint}",
        page.path(row),
        page.path(closed),
    ]


def until(driver: WebDriver, holds: str) -> None:
    WebDriverWait(driver, 15, 0.1).until(lambda d: d.execute_script(f"return {holds}"))


def test_every_page_fits_a_phone_reads_in_light_and_dark_and_can_be_heard(driver: WebDriver, served: Shown) -> None:
    row = served.waiting()
    assert row.status is not None
    assert row.status.evidence is not None
    served.desk.platform.evidence.write(row.endpoint, row.id, f"{row.status.evidence[:16]}-report.html", REPORT)
    log_in(driver, served)
    backgrounds = set()
    for path in [*pages(served), "/login", "/nowhere"]:
        driver.get(served.url + path)
        assert driver.execute_script(FAULTS) == [], path
        for width in (1200, 390):
            size(driver, width)
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width, (path, width)
        for name in ("light", "dark"):
            scheme(driver, name)
            assert driver.execute_script(CONTRAST) == [], (path, name)
            backgrounds.add(driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
        assert complaints(driver) == [] or path == "/nowhere", path
    assert len(backgrounds) == 2
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_report_is_shown_and_runs_nothing(driver: WebDriver, served: Shown) -> None:
    row = served.waiting()
    assert row.status is not None
    assert row.status.evidence is not None
    served.desk.platform.evidence.write(row.endpoint, row.id, f"{row.status.evidence[:16]}-report.html", REPORT)
    log_in(driver, served)
    driver.get(served.url + served.path(row))
    frame = driver.find_element(By.TAG_NAME, "iframe")
    driver.execute_script("arguments[0].scrollIntoView()", frame)
    driver.switch_to.frame(frame)
    WebDriverWait(driver, 10).until(lambda d: d.find_elements(By.ID, "said"))
    assert driver.find_element(By.ID, "said").text == "report"
    driver.switch_to.default_content()
    assert driver.execute_script("return document.body.dataset.pwned") is None
    driver.get(f"{served.url}/evidence/{row.endpoint}/{row.id}/{row.status.evidence[:16]}-report.html")
    assert driver.find_element(By.ID, "said").text == "report"
    complaints(driver)


def test_a_person_approves_by_keyboard_alone(driver: WebDriver, served: Shown) -> None:
    row = served.waiting()
    log_in(driver, served)
    focus = "document.activeElement"

    def tab_to(what: str) -> None:
        for _ in range(40):
            driver.switch_to.active_element.send_keys(Keys.TAB)
            if driver.execute_script(f"return {focus}.matches({what!r})"):
                outline = driver.execute_script(f"return getComputedStyle({focus}).outlineWidth")
                assert outline == "3px", "the place of the focus is seen"
                return
        raise AssertionError(f"{what} can't be reached by keyboard")

    tab_to(".skip")
    tab_to(f'.card a[href="{served.path(row)}"]')
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    until(driver, "document.title.includes('incident') || document.querySelector('.decide') !== null")
    tab_to("#note")
    driver.switch_to.active_element.send_keys("read it, looks right")
    tab_to('button[value="approve"]')
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    until(driver, "document.body.textContent.includes('Your decision is recorded')")
    ((name, decision),) = served.loop.decided
    assert (name, decision.approve, decision.note) == (row.name, True, "read it, looks right")


def test_an_open_page_is_brought_up_to_date_and_says_when_the_evidence_has_changed(driver: WebDriver, served: Shown) -> None:
    row = served.waiting()
    log_in(driver, served)
    driver.get(served.url + served.path(row))
    driver.find_element(By.ID, "note").send_keys("half a thou")
    driver.execute_script("document.activeElement.blur()")
    request, status = served.loop.open[row.name]
    assert status.judgement is not None
    other = digest("newer data")
    newer = status.judgement.model_copy(update={"evidence": other, "sentence": "Something newer was found."})
    served.loop.open[row.name] = (request, status.model_copy(update={"judgement": newer, "evidence": other}))
    served.desk.refresher.forget(row.endpoint, row.id)
    until(driver, "document.getElementById('summary').textContent.includes('Something newer was found.')")
    assert driver.find_element(By.ID, "stale").is_displayed()
    assert driver.find_element(By.ID, "note").get_attribute("value") == "half a thou"
    evidence = driver.find_element(By.CSS_SELECTOR, '.decide input[name="evidence"]').get_attribute("value")
    assert evidence == row.status.evidence if row.status else False, "the form still names what was read"


def test_hostile_words_are_words(driver: WebDriver, served: Shown) -> None:
    row = served.waiting()
    request, status = served.loop.open[row.name]
    alarms = tuple(one.model_copy(update={"message": HOSTILE, "source": HOSTILE[:190]}) for one in request.alarms)
    refused = (RefusedDecision(reviewer=HOSTILE[:190], reason=HOSTILE, at=status.since),)
    assert status.judgement is not None
    judged = status.judgement.model_copy(update={"sentence": HOSTILE, "reasons": (HOSTILE,)})
    served.loop.open[row.name] = (
        request.model_copy(update={"alarms": alarms}),
        status.model_copy(update={"sentence": HOSTILE, "refused": refused, "judgement": judged}),
    )
    lifecycle = served.loop.statuses[row.endpoint]
    paused = Pause(by=HOSTILE[:190], reason=HOSTILE, at=status.since)
    state = lifecycle.state.model_copy(update={"paused": paused})
    served.loop.statuses[row.endpoint] = lifecycle.model_copy(update={"state": state})
    served.desk.book.incidents.pop(row.name)
    log_in(driver, served, "<b>eve&")
    for path in [served.path(row), f"/endpoint/{row.endpoint}", "/", "/incidents", f"/fleet?q={row.endpoint}"]:
        driver.get(served.url + path)
        assert driver.execute_script("return window.pwned") is None, path
        assert driver.execute_script("return document.querySelectorAll('main img, main script').length") == 0, path
        assert "49" not in driver.find_element(By.TAG_NAME, "h1").text
    driver.get(served.url + served.path(row))
    assert "onerror" in driver.find_element(By.ID, "timeline").text, "shown as it was written"
    driver.find_element(By.ID, "note").send_keys("</textarea><script>window.pwned=1</script>")
    driver.find_element(By.CSS_SELECTOR, 'button[value="reject"]').click()
    until(driver, "document.body.textContent.includes('your decision is recorded')")
    assert driver.execute_script("return window.pwned") is None
    assert served.loop.decided[0][1].reviewer == "<b>eve&"
    assert complaints(driver) == []


def test_without_javascript_one_can_log_in_reject_pause_and_log_out(tmp_path: Path, served: Shown) -> None:
    row = served.waiting()
    with chromium(tmp_path / "plain", javascript=False) as driver:
        log_in(driver, served)
        driver.find_element(By.CSS_SELECTOR, f'.card a[href="{served.path(row)}"]').click()
        reads(driver, "h1", row.endpoint)
        driver.find_element(By.CSS_SELECTOR, 'button[value="reject"]').click()
        assert served.loop.decided == [], "the browser itself asks for the note"
        driver.find_element(By.ID, "note").send_keys("not before the audit")
        driver.find_element(By.CSS_SELECTOR, 'button[value="reject"]').click()
        reads(driver, "main", "your decision is recorded")
        driver.get(f"{served.url}/endpoint/{row.endpoint}")
        driver.find_element(By.ID, "pause-reason").send_keys("holiday")
        driver.find_element(By.XPATH, "//button[.='Pause']").click()
        reads(driver, "main", "Paused")
        driver.find_element(By.XPATH, "//button[.='Log out']").click()
        reads(driver, "h1", "Log in")
    assert served.loop.decided[0][1].note == "not before the audit"
    assert served.loop.told[0][1].reason == "holiday"


def test_a_link_in_a_notice_is_enough_to_decide(driver: WebDriver, served: Shown) -> None:
    row = served.waiting()
    served.vouching.links["signed"] = a_link(row, "bert")
    begin(driver)
    driver.get(f"{served.url}/link?token=signed")
    assert driver.execute_script(FAULTS) == []
    driver.find_element(By.CSS_SELECTOR, 'button[value="approve"]').click()
    until(driver, "document.body.textContent.includes('Your decision is recorded')")
    assert served.loop.decided[0][1].reviewer == "bert"
    assert complaints(driver) == []
