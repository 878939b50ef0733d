"""The local chain on disk: what a crash leaves is mended, what a hand changed is named and refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.audit import Anchor
from platforms.errors import Corrupt, Exhausted, NotFound
from platforms.files import json_bytes
from platforms.local.audit import LocalAudit
from platforms.ports import AuditStore
from tests.platforms.records_fixtures import entry, run_python

FULL = """
import resource, sys
from pathlib import Path
from platforms.errors import Exhausted
from platforms.local.audit import LocalAudit
from tests.platforms.records_fixtures import entry
home = Path(sys.argv[1])
size = (home / "audit" / "audit.jsonl").stat().st_size + int(sys.argv[2])
audit = LocalAudit(home, home / "anchors")
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    audit.append(entry(3))
except Exhausted as error:
    print(error)
"""


@pytest.fixture
def local(tmp_path: Path) -> LocalAudit:
    """A local chain of three records."""
    audit = LocalAudit(tmp_path, tmp_path / "anchors")
    for n in range(3):
        audit.append(entry(n))
    return audit


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "audit.jsonl"


@pytest.fixture
def anchor(tmp_path: Path) -> Path:
    return tmp_path / "anchors" / "audit.json"


def reopened(chain: Path) -> LocalAudit:
    home = chain.parents[1]
    return LocalAudit(home, home / "anchors")


def named(audit: AuditStore) -> list[int]:
    return [fault.seq for fault in audit.verify().faults]


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_is_exhausted_and_leaves_no_half_record(local: LocalAudit, tmp_path: Path, chain: Path, room: int) -> None:
    before = chain.read_bytes()
    assert "File too large. Free some space" in run_python(FULL, str(tmp_path), str(room))
    assert chain.read_bytes() == before
    assert local.append(entry(3)).seq == 4
    assert (local.verify().verified, local.verify().notes) == (True, ())


def test_a_record_whose_anchor_did_not_fit_on_the_disk_is_anchored_by_the_retry(
    local: LocalAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise Exhausted("anchors: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("platforms.local.audit.write_atomic", full)
        with pytest.raises(Exhausted):
            local.append(entry(3))
    assert local.verify().verified
    assert local.append(entry(3)).seq == 4
    assert (local.verify().records, local.verify().notes) == (4, ())


def test_a_crash_between_record_and_anchor_is_explained_and_the_next_append_mends_it(
    local: LocalAudit, chain: Path, anchor: Path
) -> None:
    before = anchor.read_bytes()
    local.append(entry(3))
    anchor.write_bytes(before)
    found = reopened(chain).verify()
    assert found.verified
    assert "record 4 is one beyond the anchor" in found.notes[0]
    assert reopened(chain).append(entry(4)).seq == 5
    assert (local.verify().verified, local.verify().notes) == (True, ())


@pytest.mark.parametrize("torn", [b"{", b'{"entry":{"at":"2012', b"\0" * 4096])
def test_a_torn_write_that_nobody_was_told_of_is_cut_off(local: LocalAudit, chain: Path, torn: bytes) -> None:
    whole = chain.read_bytes()
    chain.write_bytes(whole + torn)
    assert local.verify().verified
    assert f"{len(torn)} bytes of an unfinished write" in local.verify().notes[0]
    assert len(list(local.read())) == 3
    assert reopened(chain).append(entry(3)).seq == 4
    assert chain.read_bytes().startswith(whole + b'{"entry"')
    assert (local.verify().verified, local.verify().notes) == (True, ())


def test_an_acknowledged_record_that_is_torn_refuses_appends(local: LocalAudit, chain: Path) -> None:
    torn = chain.read_bytes()[:-5]
    chain.write_bytes(torn)
    assert named(local) == [3]
    for audit in (local, reopened(chain)):
        with pytest.raises(Corrupt, match="its end was cut off"):
            audit.append(entry(9))
    assert chain.read_bytes() == torn


def _edited(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b'"gain":0.1', b'"gain":0.9'), lines[2]]


def _rehashed(lines: list[bytes]) -> list[bytes]:
    claimed = json.loads(lines[1])["hash"]
    return [lines[0], lines[1].replace(claimed.encode(), b"f" * 64), lines[2]]


@pytest.mark.parametrize(
    ("tamper", "faults"),
    [
        (_edited, [2]),
        (_rehashed, [2, 3]),
        (lambda lines: [lines[0], lines[2]], [2]),
        (lambda lines: [lines[1], lines[2]], [1]),
        (lambda lines: [lines[0], lines[2], lines[1]], [2, 2]),
        (lambda lines: [lines[0], lines[1], lines[1], lines[2]], [2]),
        (lambda lines: lines[:2], [3]),
        (lambda lines: [], [1]),
        (lambda lines: [lines[0], b"\n", lines[2]], [2]),
    ],
    ids=["edited", "rehashed", "removed", "first removed", "reordered", "inserted", "truncated", "emptied", "blanked"],
)
def test_tampering_is_named_and_the_chain_takes_no_more_records(
    local: LocalAudit, chain: Path, tamper: Callable[[list[bytes]], list[bytes]], faults: list[int]
) -> None:
    tampered = b"".join(tamper(chain.read_bytes().splitlines(keepends=True)))
    chain.write_bytes(tampered)
    assert named(local) == faults
    with pytest.raises(Corrupt, match=r"Nothing is appended\. Run .*audit verify"):
        reopened(chain).append(entry(9))
    assert chain.read_bytes() == tampered


def test_a_chain_that_was_deleted_is_found_by_its_anchor(local: LocalAudit, chain: Path) -> None:
    chain.unlink()
    assert named(local) == [1]
    for audit in (local, reopened(chain)):
        with pytest.raises(Corrupt, match="the anchor says 3 records, the chain holds 0"):
            audit.append(entry(9))


def test_a_missing_anchor_is_told_and_refuses_appends(local: LocalAudit, chain: Path, anchor: Path) -> None:
    anchor.unlink()
    assert "the anchor is missing" in local.verify().faults[0].what
    for audit in (local, reopened(chain)):
        with pytest.raises(Corrupt, match="is missing"):
            audit.append(entry(9))


def test_an_anchor_that_cannot_be_read_is_told_and_refuses_appends(local: LocalAudit, chain: Path, anchor: Path) -> None:
    anchor.write_bytes(b'{"records": 3}')
    found = local.verify()
    assert not found.verified
    assert "head: Field required" in found.faults[0].what
    with pytest.raises(Corrupt, match="head: Field required"):
        reopened(chain).append(entry(9))


def test_an_anchor_far_behind_is_told_and_refuses_appends(local: LocalAudit, chain: Path, anchor: Path) -> None:
    anchor.write_bytes(json_bytes(Anchor(records=1, head=next(iter(local.read())).hash)))
    assert "2 records stand beyond the anchor" in local.verify().faults[0].what
    with pytest.raises(Corrupt, match="beyond the anchor"):
        reopened(chain).append(entry(9))


def test_a_chain_written_anew_is_found_by_its_anchor(local: LocalAudit, chain: Path, tmp_path: Path) -> None:
    forged = LocalAudit(tmp_path / "forged", tmp_path / "forged" / "anchors")
    for n in range(3):
        forged.append(entry(n, forged=n))
    chain.write_bytes((tmp_path / "forged" / "audit" / "audit.jsonl").read_bytes())
    assert named(local) == [3]
    with pytest.raises(Corrupt, match="record 3 is not the one that the anchor names"):
        reopened(chain).append(entry(9))


def test_a_line_that_cannot_be_read_stops_the_reader_with_its_number(local: LocalAudit, chain: Path) -> None:
    lines = chain.read_bytes().splitlines(keepends=True)
    chain.write_bytes(lines[0] + b"{}\n" + lines[2])
    with pytest.raises(Corrupt, match="line 2 can't be read"):
        list(local.read())


def test_an_append_reads_only_what_others_appended_since(local: LocalAudit, chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reopened(chain).append(entry(3))
    read: list[int] = []
    lines = LocalAudit._lines

    def counted(self: LocalAudit, size: int, start: int = 0) -> Any:
        for line in lines(self, size, start):
            read.append(len(line))
            yield line

    monkeypatch.setattr(LocalAudit, "_lines", counted)
    assert local.append(entry(4)).seq == 5
    assert local.append(entry(5)).seq == 6
    assert len(read) == 1


def test_a_follower_reads_only_what_is_new_and_one_record_by_its_number(tmp_path: Path) -> None:
    store = LocalAudit(tmp_path, tmp_path / "anchors")
    reader = LocalAudit(tmp_path, tmp_path / "anchors")
    assert list(reader.after(0)) == []
    first = [store.append(entry(n)) for n in range(3)]
    assert list(reader.after(0)) == first
    more = store.append(entry(3))
    assert list(reader.after(3)) == [more]
    assert list(reader.after(4)) == []
    assert reader.get(2) == first[1]
    for beyond in (0, 5):
        with pytest.raises(NotFound):
            reader.get(beyond)
