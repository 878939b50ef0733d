"""docs/records-format.md: what it says is enough to check the chain without our code."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from platforms.local.audit import LocalAudit
from tests.platforms.records_fixtures import ROOT, entry

PAGE = (ROOT / "docs" / "records-format.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The chain, its anchor and the page's script, as an auditor would lay them side by side."""
    home = tmp_path / "home"
    audit = LocalAudit(home, home / "anchors")
    for n in range(3):
        audit.append(entry(n, hash="f" * 64, note='Fähre "x" \u2028\x1b', nested={"hash": "0" * 64, "seq": 9}))
    shutil.copy(home / "audit" / "audit.jsonl", tmp_path)
    shutil.copy(home / "anchors" / "audit.json", tmp_path)
    (tmp_path / "check.py").write_text(block("python"))
    return tmp_path


def check(folder: Path) -> str:
    command = [sys.executable, "-I", "check.py", "audit.jsonl", "audit.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return (done.stdout + done.stderr).strip()


def lines(folder: Path) -> list[bytes]:
    return (folder / "audit.jsonl").read_bytes().splitlines(keepends=True)


def test_the_shell_command_gives_the_hash_of_the_record(folder: Path) -> None:
    said = subprocess.run(["sh", "-c", block("sh")], cwd=folder, capture_output=True, text=True, timeout=60, check=True).stdout
    first = next(iter(LocalAudit(folder / "home", folder / "home" / "anchors").read()))
    assert said.split()[0] == first.hash


def test_the_script_finds_the_chain_whole(folder: Path) -> None:
    assert check(folder) == "3 records hold"


def test_the_script_takes_a_crash_for_no_fault(folder: Path) -> None:
    with (folder / "audit.jsonl").open("ab") as chain:
        chain.write(b'{"entry"')
    assert check(folder) == "an unfinished write follows record 3\n3 records hold"


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ([0, 2], "line 2 does not follow"),
        ([1, 0, 2], "line 1 does not follow"),
        ([0, 0, 1, 2], "line 2 does not follow"),
        ([0, 1], "2 records do not fit the anchor, which says 3"),
        ([], "0 records do not fit the anchor"),
    ],
)
def test_the_script_names_what_was_removed_reordered_inserted_or_cut_off(folder: Path, kept: list[int], said: str) -> None:
    whole = lines(folder)
    (folder / "audit.jsonl").write_bytes(b"".join(whole[n] for n in kept))
    assert check(folder).startswith(said)


def test_the_script_names_what_was_edited(folder: Path) -> None:
    whole = lines(folder)
    (folder / "audit.jsonl").write_bytes(whole[0] + whole[1].replace(b"bikes", b"cars") + whole[2])
    assert check(folder) == "record 2 was edited"
