"""The audit store: one unbroken chain, whoever writes and however they die."""

import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from contracts.audit import Anchor
from platforms.errors import Conflict, Corrupt, Exhausted, Invalid
from platforms.local.audit import LocalAudit
from platforms.local.files import json_bytes
from platforms.ports import AuditStore
from policies.audit_chain import GENESIS
from tests.platforms.records_fixtures import PLATFORMS, entry, run_python, start_python

APPEND = """
import sys
from pathlib import Path
from platforms.local.audit import LocalAudit
from tests.platforms.records_fixtures import entry
home, writer, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
audit = LocalAudit(home, home / "anchors")
sys.stdin.readline()
for n in range(count):
    record = audit.append(entry(n, key=f"{writer}/{n}", writer=writer))
    print(record.seq, record.entry.key, flush=True)
"""
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


@pytest.fixture(params=sorted(PLATFORMS))
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], AuditStore]:
    """Opens the store as another process would."""
    return lambda: PLATFORMS[request.param](tmp_path).audit


@pytest.fixture
def store(opened: Callable[[], AuditStore]) -> AuditStore:
    return opened()


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


def test_an_empty_chain_is_whole(store: AuditStore) -> None:
    assert list(store.read()) == []
    assert (store.verify().verified, store.verify().records) == (True, 0)


def test_records_are_linked_and_come_back_as_they_were_appended(opened: Callable[[], AuditStore]) -> None:
    store = opened()
    appended = [store.append(entry(n)) for n in range(5)]
    assert list(opened().read()) == appended
    assert [r.seq for r in appended] == [1, 2, 3, 4, 5]
    assert appended[0].previous == GENESIS
    assert all(later.previous == former.hash for former, later in itertools.pairwise(appended))
    found = opened().verify()
    assert (found.verified, found.records, found.head, found.notes) == (True, 5, appended[-1].hash, ())


def test_one_endpoints_records_can_be_read_alone(store: AuditStore) -> None:
    for n, endpoint in enumerate(["bikes", "cars", "bikes"]):
        store.append(entry(n, endpoint=endpoint))
    assert [r.seq for r in store.read("bikes")] == [1, 3]
    assert list(store.read("none")) == []


def test_the_same_key_again_returns_the_record_and_adds_none(opened: Callable[[], AuditStore]) -> None:
    first = opened().append(entry(1))
    opened().append(entry(2))
    assert opened().append(entry(1)) == first
    assert len(list(opened().read())) == 2


def test_a_key_cannot_stand_for_two_entries(store: AuditStore) -> None:
    store.append(entry(1, key="a"))
    with pytest.raises(Conflict, match="key 'a' stands for record 1"):
        store.append(entry(2, key="a"))
    assert len(list(store.read())) == 1


@pytest.mark.parametrize(
    "text", ["\x1b[2Jgone", '"},\n{"seq":9', "\u202eevil", "\u2028", "'; DROP TABLE audit;--", "🚲" * 1000, "\x00"]
)
def test_hostile_text_is_kept_as_it_is_and_breaks_no_line(store: AuditStore, text: str) -> None:
    store.append(entry(1, key=text, endpoint=text, note=text, nested={text: [text]}))
    store.append(entry(2))
    assert [r.entry.facts.get("note") for r in store.read()] == [text, None]
    assert store.verify().verified


@pytest.mark.parametrize("bad", ["\ud800", object()])
def test_facts_that_are_not_json_are_refused_and_nothing_is_written(store: AuditStore, bad: Any) -> None:
    with pytest.raises(Invalid, match="not JSON"):
        store.append(entry(1, bad=bad))
    assert store.verify().records == 0


def test_threads_that_append_through_one_store_make_one_chain(store: AuditStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        seqs = list(pool.map(lambda n: store.append(entry(n)).seq, range(60)))
    assert sorted(seqs) == list(range(1, 61))
    assert store.verify().verified


@pytest.mark.processes
def test_processes_that_append_at_once_make_one_unbroken_chain(tmp_path: Path) -> None:
    writers = [start_python(APPEND, str(tmp_path), writer, "40") for writer in ("a", "b", "c", "shared", "shared")]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    said = [writer.communicate(timeout=120)[0].splitlines() for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 5
    audit = LocalAudit(tmp_path, tmp_path / "anchors")
    assert (audit.verify().verified, audit.verify().records) == (True, 160)
    assert len({record.entry.key for record in audit.read()}) == 160
    assert said[3] == said[4]


@pytest.mark.processes
def test_what_was_acknowledged_outlives_a_writer_that_is_killed_again_and_again(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for turn in range(4):
        with start_python(APPEND, str(tmp_path), f"turn-{turn}", "100000") as writer:
            writer.stdin.write("go\n")
            writer.stdin.flush()
            acknowledged += [writer.stdout.readline().strip() for _ in range(7 + turn)]
            writer.kill()
            acknowledged += [line.strip() for line in writer.stdout.readlines() if line.endswith("\n")]
        audit = LocalAudit(tmp_path, tmp_path / "anchors")
        assert audit.verify().verified, audit.verify()
        kept = [f"{record.seq} {record.entry.key}" for record in audit.read()]
        assert set(acknowledged) <= set(kept)
    audit.append(entry(1, key="after"))
    assert audit.verify().notes == ()


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
