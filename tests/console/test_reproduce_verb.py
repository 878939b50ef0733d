"""`reproduce`: a decision of a real loop taken again, and everything that was changed since is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from contracts.audit import AuditEntry, AuditRecord
from platforms.local.audit import LocalAudit
from platforms.local.feature_store import LocalFeatureStore
from platforms.local.inventory import LocalInventory
from tests.console.conftest import Ran
from tests.console.conftest import run_here as run
from tests.console.recorded_decisions import ENDPOINT, serve, tell
from tests.end_to_end.whole_system import DRIFT_DAY, hourly_rows

FIRST, PROMOTED = "2", "4"
OFFLINE = {"chain", "evidence", "verdict"}
ALL = OFFLINE | {"retrieval", "training", "artifact", "scores"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def told(temporal_env: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("told")
    await tell(temporal_env, home, f"test-{uuid4().hex}")
    return home


@pytest.fixture
def place(told: Path, home: Path) -> Path:
    """A copy of what the loop left, to be changed."""
    shutil.copytree(told, home)
    return home


def records(place: Path) -> list[AuditRecord]:
    return list(LocalAudit(place, place / "anchors").read())


def facts(place: Path, seq: str) -> dict[str, Any]:
    return records(place)[int(seq) - 1].entry.facts


def rewritten(place: Path, seq: str, change: Callable[[dict[str, Any]], None]) -> None:
    """A chain of its own whose one record holds the changed facts: the chain holds, its content is another."""
    entry = records(place)[int(seq) - 1].entry
    told_otherwise = json.loads(json.dumps(entry.facts))
    change(told_otherwise)
    shutil.rmtree(place / "audit")
    shutil.rmtree(place / "anchors")
    LocalAudit(place, place / "anchors").append(
        AuditEntry(**{**entry.model_dump(), "facts": told_otherwise, "event": entry.event})
    )


def files(place: Path) -> set[Path]:
    return {path for path in place.rglob("*") if path.is_file() and path.suffix != ".lock"}


def steps(ran: Ran, standing: str) -> dict[str, list[str]]:
    """Fields by step that have this standing."""
    found: dict[str, list[str]] = {}
    for check in ran.data["checks"]:
        if check["standing"] == standing:
            found.setdefault(check["step"], []).append(check["field"])
    return found


def one(ran: Ran, step: str, field: str) -> dict[str, Any]:
    (found,) = [check for check in ran.data["checks"] if (check["step"], check["field"]) == (step, field)]
    return dict(found)


@pytest.mark.parametrize("seq", ["1", FIRST, "3", PROMOTED])
async def test_every_decision_of_a_loop_is_reproduced_to_the_last_bit_and_nothing_stays_behind(place: Path, seq: str) -> None:
    before = files(place)
    ran = await run("reproduce", seq, "--json")
    assert ran.data["outcome"] == "same", ran.out
    assert ran.exit == 0
    wanted = ALL if seq in ("3", PROMOTED) else ALL - {"artifact"} | set(steps(ran, "same"))
    assert set(steps(ran, "same")) == wanted
    assert one(ran, "scores", "evidence digest")["found"] == facts(place, seq)["evidence"]["digest"]
    assert [r.id for r in LocalInventory(place).list()] == []
    assert files(place) == before


async def test_people_read_the_outcome_and_scripts_find_a_record_by_number_hash_or_incident(place: Path) -> None:
    record = records(place)[3]
    said = await run("reproduce", f"{ENDPOINT}/{record.entry.incident}", "--offline")
    assert said.exit == 0
    assert "the same: everything" in said.out.splitlines()[-1]
    assert said.out.startswith("record 4, closed")
    for name in ("4", record.hash[:8], record.hash):
        ran = await run("reproduce", name, "--offline", "--json")
        assert ran.data["record"]["seq"] == 4
        assert set(steps(ran, "same")) == OFFLINE


@pytest.mark.parametrize(
    ("name", "exit_", "says"),
    [
        ("99", 4, "no audit record 99"),
        ("abcdef0", 4, "no audit record"),
        ("bikes/20990101T000000Z-000000", 4, "no decision"),
        ("oops", 2, "no number"),
        ("-1/..", 2, "NAME/ID"),
    ],
)
async def test_a_record_that_is_not_there_is_told(place: Path, name: str, exit_: int, says: str) -> None:
    ran = await run("reproduce", "--json", "--", name)
    assert ran.exit == exit_
    assert says in ran.data["error"]["message"]


async def test_a_record_without_a_decision_is_refused(home: Path) -> None:
    entry = {"key": "k", "endpoint": "bikes", "event": "swept", "at": "2024-01-01T00:00:00Z"}
    LocalAudit(home, home / "anchors").append(AuditEntry.model_validate(entry))
    ran = await run("reproduce", "1", "--json")
    assert ran.exit == 1
    assert "'swept'" in ran.data["error"]["message"]


def change_row(place: Path, event_day: int, **columns: float) -> str:
    """Write one row of the table anew, as it must never happen: the same version, another value."""
    folder = next((place / "features" / "rows").glob(f"day={_date(event_day)}"))
    path = next(folder.glob("*.parquet"))
    rows = pq.read_table(path)
    for name, value in columns.items():
        values = rows[name].to_pylist()
        values[0] = value
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values, rows.schema.field(name).type))
    path.unlink()
    pq.write_table(rows, path)
    return str(rows["id"][0].as_py())


def _date(event_day: int) -> str:
    return str(np.datetime64(hourly_rows()["event_time"][event_day * 24].as_py().replace(tzinfo=None), "D"))


async def test_a_changed_training_row_changes_hash_and_models_and_all_of_it_is_named(place: Path) -> None:
    change_row(place, DRIFT_DAY + 5, x=9.0)
    ran = await run("reproduce", PROMOTED, "--json")
    differs = steps(ran, "differs")
    assert ran.exit == 6
    assert "snapshot.fingerprint" in differs["retrieval"]
    assert {"judge.model.digest", "refit.dataset_sha256"} <= set(differs["training"])
    assert "evidence digest" in differs["scores"]
    assert not set(differs) & OFFLINE


async def test_a_changed_label_of_the_holdout_is_named_with_its_row(place: Path) -> None:
    row = hourly_rows().slice((DRIFT_DAY + 25) * 24, 1).to_pylist()[0]
    name = change_row(place, DRIFT_DAY + 25, label=1 - row["label"])
    ran = await run("reproduce", PROMOTED, "--json")
    found = one(ran, "scores", "holdout label")
    assert ran.exit == 6
    assert (found["recorded"], found["found"]) == (repr(row["label"]), repr(1 - row["label"]))
    assert name in found["why"]


async def test_rows_that_arrived_since_change_nothing(place: Path) -> None:
    late = hourly_rows().slice((DRIFT_DAY + 25) * 24, 24)
    times = pa.array([moment.as_py().replace(year=2025) for moment in late["label_time"]], pa.timestamp("us", "UTC"))
    corrected = late.set_column(late.column_names.index("label_time"), "label_time", times)
    LocalFeatureStore(place).append("rows", corrected)
    ran = await run("reproduce", PROMOTED, "--json")
    assert ran.data["outcome"] == "same", ran.out


@pytest.mark.parametrize(("which", "field"), [("champion", "champion"), ("refit", "refit")])
async def test_a_changed_artifact_is_named(place: Path, which: str, field: str) -> None:
    digest = facts(place, PROMOTED)[which]["model"]["digest"]
    artifact = place / "registry" / ENDPOINT / digest / "model.json"
    artifact.write_bytes(artifact.read_bytes().replace(b"tree", b"tref", 1))
    ran = await run("reproduce", PROMOTED, "--json")
    assert ran.exit == 6
    found = one(ran, "artifact", field)
    assert found["standing"] == "differs"
    assert digest[:12] in found["found"]


async def test_a_removed_artifact_can_not_be_checked(place: Path) -> None:
    digest = facts(place, PROMOTED)["champion"]["model"]["digest"]
    shutil.rmtree(place / "registry" / ENDPOINT / digest)
    ran = await run("reproduce", PROMOTED, "--json")
    assert (ran.exit, ran.data["outcome"]) == (7, "unchecked")
    assert steps(ran, "unchecked") == {"artifact": ["champion"], "scores": ["evidence digest"]}


def evidence_files(place: Path, pattern: str) -> list[Path]:
    incident = records(place)[int(PROMOTED) - 1].entry.incident
    return sorted((place / "evidence" / ENDPOINT / incident).glob(pattern))


@pytest.mark.parametrize(
    ("pattern", "field"),
    [
        ("predictions-*.parquet", "predictions' SHA-256"),
        ("evidence-*.json", "manifest's SHA-256, which the decision names"),
    ],
)
async def test_changed_evidence_is_named_offline(place: Path, pattern: str, field: str) -> None:
    (path,) = evidence_files(place, pattern)
    content = path.read_bytes()
    path.unlink()
    if path.suffix == ".json":
        path.write_bytes(content.replace(b'"threshold":0.5', b'"threshold":0.4'))
    else:
        table = pq.read_table(pa.BufferReader(content))
        scores = table["challenger"].to_pylist()
        scores[0] = 0.123
        pq.write_table(table.set_column(table.column_names.index("challenger"), "challenger", pa.array(scores)), path)
    ran = await run("reproduce", PROMOTED, "--offline", "--json")
    assert ran.exit == 6
    assert field in steps(ran, "differs")["evidence"]
    if path.suffix == ".parquet":
        assert "judgement.comparisons[log_loss].challenger" in steps(ran, "differs")["verdict"]


async def test_evidence_that_is_no_parquet_any_more_is_a_difference_and_gone_evidence_a_gap(place: Path) -> None:
    (path,) = evidence_files(place, "predictions-*.parquet")
    path.write_bytes(b"nothing")
    broken = await run("reproduce", PROMOTED, "--offline", "--json")
    path.unlink()
    gone = await run("reproduce", PROMOTED, "--offline", "--json")
    assert (broken.exit, gone.exit) == (6, 7)
    assert "evidence files" in steps(broken, "differs")["evidence"]
    assert steps(gone, "unchecked") == {"evidence": ["evidence files"]}


async def test_another_policy_than_the_one_that_judged_is_named_by_its_field(place: Path) -> None:
    def looser(told_otherwise: dict[str, Any]) -> None:
        told_otherwise["requests"]["judge"]["gate"]["refresh"]["log_loss_gain"] = 0.0
        told_otherwise["requests"]["judge"]["gate"]["margins"]["recall"] = 0.5

    rewritten(place, PROMOTED, looser)
    ran = await run("reproduce", "1", "--offline", "--json")
    assert ran.exit == 6
    named = steps(ran, "differs")["verdict"]
    assert {"judgement.policy.refresh.log_loss_gain", "judgement.policy.margins.recall"} <= set(named)
    found = one(ran, "verdict", "judgement.policy.refresh.log_loss_gain")
    assert (found["recorded"], found["found"]) == ("0.01", "0.0")


async def test_another_recipe_than_the_one_that_trained_gives_another_digest(place: Path) -> None:
    def shorter(told_otherwise: dict[str, Any]) -> None:
        told_otherwise["requests"]["train-refit"]["recipe"]["learner"]["rounds"] = 19

    rewritten(place, PROMOTED, shorter)
    ran = await run("reproduce", "1", "--json")
    assert ran.exit == 6
    assert "refit.model.digest" in steps(ran, "differs")["training"]
    assert "judge.model.digest" not in steps(ran, "differs")["training"]


async def test_an_edited_record_ends_with_five_and_a_chain_cut_short_is_named(place: Path) -> None:
    path = place / "audit" / "audit.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))
    cut = await run("reproduce", "3", "--offline", "--json")
    path.write_bytes(b"".join(lines).replace(b'"team":"mobility"', b'"team":"motility"', 1))
    edited = await run("reproduce", PROMOTED, "--offline", "--json")
    assert (cut.exit, edited.exit) == (6, 5)
    assert "record 4 is missing" in one(cut, "chain", "audit chain")["found"]
    assert edited.data["error"]["type"] == "Corrupt"


async def test_expired_traffic_leaves_the_digest_open_and_new_traffic_changes_nothing(place: Path) -> None:
    shutil.rmtree(place / "capture")
    gone = await run("reproduce", PROMOTED, "--json")
    serve(place, DRIFT_DAY + 16, DRIFT_DAY + 30)
    more = await run("reproduce", PROMOTED, "--json")
    assert gone.exit == 7
    assert steps(gone, "unchecked") == {"scores": ["replay rows", "evidence digest"]}
    assert more.data["outcome"] == "same", more.out


def forget(told_otherwise: dict[str, Any]) -> None:
    """As releases before this one recorded."""
    del told_otherwise["requests"]


@pytest.mark.parametrize("seq", [FIRST, PROMOTED])
async def test_an_older_release_s_record_is_checked_as_far_as_it_goes_and_the_rest_is_named(place: Path, seq: str) -> None:
    rewritten(place, seq, forget)
    ran = await run("reproduce", "1", "--json")
    assert (ran.exit, ran.data["outcome"]) == (7, "unchecked")
    assert set(steps(ran, "same")) == OFFLINE
    missing = one(ran, "retrieval", "snapshot")
    assert "a release that did not keep it" in missing["why"]


async def test_facts_that_can_not_be_read_end_with_five_and_the_field(place: Path) -> None:
    def strange(told_otherwise: dict[str, Any]) -> None:
        told_otherwise["snapshot"]["as_of"] = "yesterday"

    rewritten(place, PROMOTED, strange)
    ran = await run("reproduce", "1", "--json")
    assert ran.exit == 5
    assert "snapshot.as_of" in ran.data["error"]["message"]
