"""`audit`: reads, verifies and exports without Temporal."""

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.audit import AuditEntry, AuditEvent
from platforms.local.audit import LocalAudit
from tests.console.conftest import run_here as run
from tests.fakes import AS_OF

TAMPERED = {
    "edited": lambda lines: [lines[0].replace(b"ada", b"eve"), *lines[1:]],
    "removed": lambda lines: [lines[0], *lines[2:]],
    "reordered": lambda lines: [lines[1], lines[0], *lines[2:]],
    "truncated": lambda lines: lines[:-1],
}


def tamper(file: Path, how: str) -> None:
    file.write_bytes(b"".join(TAMPERED[how](file.read_bytes().splitlines(keepends=True))))


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.fixture
def chain(home: Path) -> Path:
    audit = LocalAudit(home, home / "anchors")
    for n, (endpoint, event) in enumerate([("bikes", "decided"), ("trams", "closed"), ("bikes", "closed")], 1):
        facts = {"reviewer": "ada", "n": n, "note": "\x1b[2Jhostile"}
        entry = AuditEntry(key=f"k{n}", endpoint=endpoint, incident=f"i{n}", event=AuditEvent(event), at=AS_OF, facts=facts)
        audit.append(entry)
    return home / "audit" / "audit.jsonl"


async def seqs(*words: str) -> list[int]:
    return [record["seq"] for record in (await run("audit", "list", *words, "--json")).data["records"]]


async def test_list_chooses_by_endpoint_event_incident_and_number(chain: Path) -> None:
    assert await seqs() == [1, 2, 3]
    assert await seqs("--endpoint", "bikes") == [1, 3]
    assert await seqs("--event", "closed") == [2, 3]
    assert await seqs("--incident", "i2") == [2]
    assert await seqs("--incident", "bikes/i3") == [3]
    assert await seqs("--limit", "2") == [2, 3]
    assert await seqs("--limit", "0") == [1, 2, 3]


async def test_show_prints_every_fact_and_no_escape(chain: Path) -> None:
    ran, shown = await run("audit", "show", "2", "--json"), await run("audit", "show", "2")
    assert ran.data["record"]["entry"]["facts"]["n"] == 2
    assert '"endpoint": "trams"' in shown.out
    assert "\x1b" not in shown.out


async def test_a_record_that_is_not_there_is_not_found(chain: Path) -> None:
    ran = await run("audit", "show", "9", "--json")
    assert ran.exit == 4
    assert "9" in ran.data["error"]["message"]


async def test_an_unbroken_chain_is_verified(chain: Path) -> None:
    ran, shown = await run("audit", "verify", "--json"), await run("audit", "verify")
    assert (ran.exit, ran.data["verified"], ran.data["records"]) == (0, True, 3)
    assert shown.out.startswith("the chain holds: 3 records")


@pytest.mark.parametrize("how", TAMPERED)
async def test_a_broken_chain_ends_with_five_and_nothing_is_exported(chain: Path, tmp_path: Path, how: str) -> None:
    tamper(chain, how)
    ran, shown = await run("audit", "verify", "--json"), await run("audit", "verify")
    export = await run("audit", "export", str(tmp_path / "out.jsonl"), "--json")
    assert (ran.exit, ran.data["verified"]) == (5, False)
    assert ran.data["faults"]
    assert "the chain is broken" in shown.out
    assert export.exit == 5
    assert not (tmp_path / "out.jsonl").exists()


async def test_an_export_can_be_verified_anywhere_and_a_changed_one_is_found(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "out.jsonl"
    ran = await run("audit", "export", str(file), "--json")
    anchor: str = ran.data["anchor"]
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("HOMEOSTAT_HOME", str(tmp_path / "elsewhere"))
        good = await run("audit", "verify", "--file", str(file), "--anchor", anchor, "--json")
    ends = []
    for how in TAMPERED:
        await run("audit", "export", str(file))
        tamper(file, how)
        ends.append((await run("audit", "verify", "--file", str(file), "--anchor", anchor)).exit)
    assert ran.data["records"] == 3
    assert (good.exit, good.data["verified"]) == (0, True)
    assert ends == [5, 5, 5, 5]


async def test_an_export_of_one_endpoint_holds_its_records_only(chain: Path, tmp_path: Path) -> None:
    file = tmp_path / "bikes.jsonl"
    ran = await run("audit", "export", str(file), "--endpoint", "bikes", "--json")
    found: list[dict[str, Any]] = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [record["seq"] for record in found] == [1, 3]
    assert ran.data == {"file": str(file), "records": 2, "anchor": None}


async def test_an_export_that_can_not_be_written_leaves_the_old_file(chain: Path, tmp_path: Path) -> None:
    ran = await run("audit", "export", str(tmp_path / "missing" / "out.jsonl"), "--json")
    assert ran.exit == 1
    assert "missing" in ran.data["error"]["message"]
    folder = tmp_path / "taken"
    folder.mkdir()
    onto_folder = await run("audit", "export", str(folder), "--json")
    assert onto_folder.exit == 1
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "--file", "x.jsonl"),
        ("verify", "--anchor", f"1:{'0' * 64}"),
        ("verify", "--file", "missing.jsonl", "--anchor", f"1:{'0' * 64}"),
        ("verify", "--file", "x", "--anchor", "12"),
        ("list", "--limit", "-1"),
        ("list", "--event", "lunch"),
        ("list", "--endpoint", "../x"),
        ("show", "one"),
    ],
)
async def test_wrong_usage_ends_with_two(chain: Path, words: tuple[str, ...]) -> None:
    ran = await run("audit", *words, "--json")
    assert ran.exit == 2
    assert ran.data["error"]["message"]


async def test_an_empty_home_has_an_empty_chain(home: Path) -> None:
    ran = await run("audit", "verify", "--json")
    assert (ran.exit, ran.data["records"]) == (0, 0)
    assert (await run("audit", "list", "--json")).data == {"records": []}
