"""`reproduce` of a decision that rested on the shadow bench: what can be is taken again, the rest is held to its digests."""

import shutil
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from contracts.audit import AuditRecord
from platforms.local.audit import LocalAudit
from platforms.local.inventory import LocalInventory
from tests.console.bench_decisions import tell
from tests.console.conftest import Ran
from tests.console.conftest import run_here as run

PROMOTED = "2"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def told(temporal_env: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("told-by-bench")
    await tell(temporal_env, home, f"test-{uuid4().hex}")
    return home


@pytest.fixture
def place(told: Path, home: Path) -> Path:
    """A copy of what the loop left, to be changed."""
    shutil.copytree(told, home)
    return home


def record(place: Path) -> AuditRecord:
    return list(LocalAudit(place, place / "anchors").read())[int(PROMOTED) - 1]


def standing(ran: Ran, step: str) -> dict[str, str]:
    return {check["field"]: check["standing"] for check in ran.data["checks"] if check["step"] == step}


async def test_the_refit_the_replay_and_the_verdict_are_the_same_to_the_last_bit(place: Path) -> None:
    ran = await run("reproduce", PROMOTED, "--json")
    assert ran.data["outcome"] == "same", ran.out
    assert ran.exit == 0
    scores = standing(ran, "scores")
    assert scores["bench's record"] == scores["evidence digest"] == "same"
    assert list(standing(ran, "training")) == ["refit"]
    assert "not made again" in " ".join(ran.data["notes"])
    assert record(place).entry.facts["evidence"]["replay_rows"] > 0
    assert {left.tags.incident for left in LocalInventory(place).list()} == {"shadow"}  # of the turns, which were taken by hand


async def test_offline_the_verdict_is_taken_again_from_the_kept_pairs(place: Path) -> None:
    ran = await run("reproduce", PROMOTED, "--offline", "--json")
    assert (ran.exit, ran.data["outcome"]) == (0, "same")
    assert set(standing(ran, "verdict").values()) == {"same"}


async def test_a_record_of_the_bench_that_was_changed_differs_and_one_that_is_pruned_is_a_gap(place: Path) -> None:
    parts = sorted((place / "bench").rglob("parts/*"))
    parts[0].write_bytes(parts[0].read_bytes() + b"more")
    changed = await run("reproduce", PROMOTED, "--json")
    assert changed.data["outcome"] == "differs"
    for part in parts:
        part.unlink()
    pruned = await run("reproduce", PROMOTED, "--json")
    assert (pruned.data["outcome"], standing(pruned, "scores")["bench's record"]) == ("unchecked", "unchecked")


async def test_the_page_shows_features_and_the_record_that_the_verdict_rests_on(place: Path) -> None:
    text = next(iter((place / "evidence").rglob("*report.html"))).read_text()
    assert 'id="bench"' in text
    assert "the shadow bench&#39;s record" in text
    assert "were not at hand" not in text
    assert text.count('data-name="training rows"') >= 4
    assert len(text) < 1_000_000
