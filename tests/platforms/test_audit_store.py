"""The audit store: one unbroken chain, whoever writes and however they die."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from platforms.errors import Conflict, Invalid
from platforms.local.audit import LocalAudit
from platforms.ports import AuditStore
from policies.audit_chain import GENESIS
from tests.platforms.records_fixtures import Records, entry, start_python

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


@pytest.fixture
def opened(records: Callable[[], Records]) -> Callable[[], AuditStore]:
    """Opens the store as another process would."""
    return lambda: records().audit


@pytest.fixture
def store(opened: Callable[[], AuditStore]) -> AuditStore:
    return opened()


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
        seqs = list(pool.map(lambda n: store.append(entry(n)).seq, range(16)))
    assert sorted(seqs) == list(range(1, 17))
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
