"""The loop, whole, with real processes: from an alarm over HTTP to another model in service, and back again.

Nothing is faked: server, workers, bridge and serving run as `make up` starts them, and people's commands run as printed.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from contracts.incident import Outcome
from contracts.review import Resolution
from tests.end_to_end.whole_system import DRIFT_DAY, ONBOARDED_DAY, System, day, endpoint_policy, hourly_rows, started
from tests.review.chromium import chromium, complaints, needs_chromium, reads

pytestmark = pytest.mark.processes
ROWS = hourly_rows()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Every endpoint has its first champion, which an alarm asked for."""
    endpoints = {name: endpoint_policy() for name in ("approved", "rejected", "terminated")} | {"clicked": _for_anna()}
    with started(tmp_path_factory.mktemp("whole"), endpoints, without=("monitor",)) as running:
        for name in endpoints:
            running.alarm(name, "first", day(ONBOARDED_DAY), kind="onboarding")
        for name in endpoints:
            first = running.closed(name, 1).state.history[0]
            assert first.outcome is Outcome.PROMOTED, first.sentence
        yield running


def _for_anna() -> dict[str, Any]:
    """Only what somebody vouches for counts, and only from her."""
    policy = endpoint_policy()
    people = {"anna": {"roles": ["ml"]}, "bert": {"roles": ["business"]}}
    return policy | {"review": {"timeout": "1h", "unverified": "refuse", "reviewers": ["role:ml"], "people": people}}


def _between(first: float, last: float) -> pa.Table:
    return ROWS.slice(int(first * 24), int((last - first) * 24))


def _first(system: System, endpoint: str) -> str:
    """The first champion's digest, as the endpoint answers with it."""
    return system.predict(endpoint, _between(ONBOARDED_DAY, ONBOARDED_DAY + 1))


def _open(url: str) -> str:
    answer = httpx.get(url, timeout=20)
    assert answer.status_code == 200, url
    return answer.text


def test_drift_is_judged_reviewed_promoted_and_rolled_back_by_the_commands_as_printed(system: System) -> None:
    first = _first(system, "approved")
    system.predict("approved", _between(DRIFT_DAY + 17, DRIFT_DAY + 30))
    system.alarm("approved", "drift", day(DRIFT_DAY + 30))
    workflow_id = system.in_stage("approved", "review")
    notice, page = system.notice("approved", "review")
    _check_links(system, notice.diagnostics, workflow_id, page)
    assert notice.commands["approve"] in page
    system.command(notice.commands["approve"])
    incident = system.closed("approved", 2).state.history[1]
    assert incident.outcome is Outcome.PROMOTED, incident.sentence
    assert incident.reviewed is Resolution.APPROVED
    second = system.predict("approved", _between(80, 81))
    assert second != first
    _roll_back(system, first, second)
    assert system.temporary("approved") == []
    assert '"verified": true' in system.command("python starter.py audit verify --json")


def _check_links(system: System, diagnostics: str, workflow_id: str, page: str) -> None:
    """What the notice links to opens: the report with its verdict and the replayed requests, and the workflow in the UI."""
    report = _open(diagnostics)
    assert "promote" in report
    assert "were not at hand" not in report
    judgement = system.remediation("approved")
    assert judgement is not None
    assert judgement.judgement is not None
    assert judgement.judgement.sentence.split(",")[0] in report
    assert judgement.judgement.replay, "the captured requests, labelled since, were compared, too"
    link = next(line.removeprefix("- Workflow: ").strip("<>") for line in page.splitlines() if line.startswith("- Workflow:"))
    assert link.startswith(system.settings.ui_url), link
    _open(link)
    api = _open(f"{system.settings.ui_url}/api/v1/namespaces/default/workflows/{workflow_id.replace('/', '%2F')}")
    assert workflow_id in api


def _roll_back(system: System, first: str, second: str) -> None:
    notice, _ = system.notice("approved", "outcome")
    system.command(notice.commands["roll back"])
    system.until(lambda: system.predict("approved", _between(81, 82)) == first, "the first model in service again")
    system.until(lambda: system.status("approved").stage == "idle", "an idle lifecycle")
    manifest = system.platform.manifests.read("approved")
    assert manifest is not None
    assert manifest.champion.digest == first
    assert second not in manifest.lineage


@needs_chromium
def test_a_person_reads_and_approves_in_a_browser_and_the_page_vouches_for_them(system: System, tmp_path: Path) -> None:
    first = _first(system, "clicked")
    system.alarm("clicked", "drift", day(DRIFT_DAY + 30))
    system.in_stage("clicked", "review")
    with chromium(tmp_path) as driver:
        _log_in(system, driver, "bert")
        reads(driver, "#mine-title", "Nothing waits for you")
        driver.find_element(By.XPATH, "//button[.='Log out']").click()
        reads(driver, "h1", "Log in")
        _log_in(system, driver, "anna")
        reads(driver, "#mine-title", "1 waiting")
        driver.find_element(By.CSS_SELECTOR, "#mine .card a").click()
        reads(driver, "h1", "clicked")
        frame = driver.find_element(By.TAG_NAME, "iframe")
        driver.execute_script("arguments[0].scrollIntoView()", frame)
        driver.switch_to.frame(frame)
        WebDriverWait(driver, 20).until(lambda d: d.find_elements(By.CSS_SELECTOR, "svg"))
        driver.switch_to.default_content()
        driver.find_element(By.ID, "note").send_keys("read the report")
        driver.find_element(By.CSS_SELECTOR, 'button[value="approve"]').click()
        reads(driver, "main", "Your decision is recorded")
        incident = system.closed("clicked", 2).state.history[1]
        assert incident.outcome is Outcome.PROMOTED, incident.sentence
        assert incident.reviewed is Resolution.APPROVED
        WebDriverWait(driver, 30, ignored_exceptions=[StaleElementReferenceException]).until(
            lambda d: "vouched for by review page" in _told(d)
        )
        assert complaints(driver) == []
    assert system.predict("clicked", _between(80, 81)) != first


def _log_in(system: System, driver: WebDriver, person: str) -> None:
    driver.get(json.loads(system.command(f"python starter.py login --person {person} --json"))["link"])
    driver.find_element(By.CSS_SELECTOR, 'form[action="/login"] button').click()


def _told(driver: WebDriver) -> str:
    return " ".join(driver.find_element(By.ID, "timeline").text.split())


def test_the_reject_command_as_printed_keeps_the_champion(system: System) -> None:
    first = _first(system, "rejected")
    system.alarm("rejected", "drift", day(DRIFT_DAY + 30))
    system.in_stage("rejected", "review")
    notice, _ = system.notice("rejected", "review")
    system.command(notice.commands["reject"])
    incident = system.closed("rejected", 2).state.history[1]
    assert incident.outcome is Outcome.HELD
    assert incident.reviewed is Resolution.REJECTED
    assert system.predict("rejected", _between(80, 81)) == first
    assert system.temporary("rejected") == []


def test_what_a_terminated_remediation_leaves_is_swept_and_recorded(system: System) -> None:
    system.alarm("terminated", "drift", day(DRIFT_DAY + 30))
    workflow_id = system.in_stage("terminated", "review")
    assert _swept(system, "--dry-run", state="kept")

    async def terminate(client: Any) -> None:
        await client.get_workflow_handle(workflow_id).terminate("by hand")

    system.ask(terminate)
    lost = system.closed("terminated", 2).state.history[1]
    assert lost.outcome is Outcome.FAILED
    assert "sweep" in lost.sentence
    assert len(system.temporary("terminated")) == 3
    assert len(_swept(system, state="removed")) == 3
    assert system.temporary("terminated") == []
    assert _swept(system) == []
    records = json.loads(system.command("python starter.py audit list --endpoint terminated --json"))
    assert "swept" in json.dumps(records)


def _swept(system: System, *options: str, state: str = "") -> list[Any]:
    """The things of the endpoint 'terminated' that a sweep tells of, in a state."""
    answer = json.loads(system.command(f"python starter.py sweep --json {' '.join(options)}"))
    things = [thing for thing in _things(answer) if thing.get("endpoint") == "terminated"]
    assert all(thing["state"] == state for thing in things), things
    return things


def _things(answer: Any) -> list[dict[str, Any]]:
    return next(value for value in answer.values() if isinstance(value, list))


def test_the_tokens_behind_the_decisions_lie_in_the_vault_and_nowhere_else(system: System) -> None:
    """Neither in Temporal's database, nor in a log, a notice or the audit chain; nor does any private key."""
    tokens = [path.read_bytes() for path in (system.home / "vault").iterdir()]
    keys = [json.loads(path.read_text())["d"].encode() for path in (system.home / "identity").glob("*.key")]
    secrets = [*(token.rpartition(b".")[2] for token in tokens), *keys]
    assert len(tokens) >= 2, "an approval and a rejection, each signed by the local key"
    files = [path for path in system.home.rglob("*") if path.is_file() and not {"vault", "identity"} & {*path.parts}]
    assert any(path.name == "temporal.db" for path in files)
    holding = [path for path in files if any(secret in path.read_bytes() for secret in secrets)]
    assert holding == []
    database = b"".join(path.read_bytes() for path in (system.home / "temporal").glob("temporal.db*"))
    tickets = [path.stem.encode() for path in (system.home / "vault").iterdir()]
    assert all(ticket in database for ticket in tickets), "so a token would have been seen there, too"


def test_no_process_wrote_a_traceback(system: System) -> None:
    logs = Path(system.home / "logs").glob("*.log")
    assert not [log.name for log in logs if "Traceback" in log.read_text(errors="replace")]
