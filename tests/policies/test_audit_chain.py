"""The audit chain's arithmetic: whatever is done to a chain afterwards is found."""

import io
import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.audit import Anchor, AuditEntry, AuditEvent
from policies import audit_chain
from policies.audit_chain import GENESIS, BrokenLink, canonical, read_link, record_hash, seal, to_line, verify

AT = datetime(2012, 3, 4, tzinfo=UTC)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
facts = st.dictionaries(st.text(max_size=5), json_values, max_size=3)


def entry(n: int, facts: dict[str, Any] | None = None) -> AuditEntry:
    return AuditEntry(key=f"k/{n}", endpoint="bikes", incident="i", event=AuditEvent.DECIDED, at=AT, facts=facts or {"n": n})


def chain(count: int, facts: list[dict[str, Any]] | None = None) -> tuple[list[bytes], Anchor]:
    lines, head = [], GENESIS
    for n in range(1, count + 1):
        record = seal(entry(n, facts[n - 1] if facts else None), seq=n, previous=head)
        lines.append(to_line(record))
        head = record.hash
    return lines, Anchor(records=count, head=head)


def forge(line: bytes, **changes: Any) -> bytes:
    """A record changed by somebody who knows how to compute the hash."""
    raw = json.loads(line) | changes
    raw["hash"] = record_hash(seq=raw["seq"], entry=raw["entry"], previous=raw["previous"])
    return canonical(raw) + b"\n"


def faults(lines: list[bytes], anchor: Anchor | None) -> list[tuple[int, str]]:
    return [(fault.seq, fault.what) for fault in verify(lines, anchor).faults]


def test_an_untouched_chain_holds() -> None:
    lines, anchor = chain(5)
    found = verify(lines, anchor)
    assert (found.verified, found.records, found.head, found.notes) == (True, 5, anchor.head, ())


def test_an_empty_chain_holds_with_or_without_its_first_anchor() -> None:
    assert verify([], None).verified
    assert verify([], Anchor(records=0, head=GENESIS)).verified


@given(st.lists(facts, min_size=1, max_size=4))
def test_any_facts_that_are_json_hold(given_facts: list[dict[str, Any]]) -> None:
    lines, anchor = chain(len(given_facts), given_facts)
    assert verify(lines, anchor).verified


@given(facts)
def test_the_hashed_bytes_are_the_line_with_its_hash_cut_out(some: dict[str, Any]) -> None:
    record = seal(entry(1, some), seq=1, previous=GENESIS)
    line = to_line(record).rstrip(b"\n")
    piece = f'"hash":"{record.hash}",'.encode()
    before, _, after = line.rpartition(piece)
    assert sha256(before + after).hexdigest() == record.hash


@given(st.integers(0, 4), st.data())
def test_any_changed_byte_is_found(which: int, data: st.DataObject) -> None:
    lines, anchor = chain(5)
    line = bytearray(lines[which])
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] = data.draw(st.integers(0, 255).filter(lambda b: b != line[place]))
    content = b"".join([*lines[:which], bytes(line), *lines[which + 1 :]])
    assert not verify(io.BytesIO(content), anchor).verified


@given(st.integers(0, 4), json_values)
def test_any_changed_fact_is_found_even_with_its_hash_made_anew(which: int, value: Any) -> None:
    lines, anchor = chain(5)
    body = json.loads(lines[which])["entry"] | {"facts": {"forged": value}}
    lines[which] = forge(lines[which], entry=body)
    named = faults(lines, anchor)
    assert named
    assert named[0][0] == min(which + 2, 5)


@given(st.integers(0, 4))
def test_an_edited_record_is_one_fault_with_its_number(which: int) -> None:
    lines, anchor = chain(5)
    lines[which] = lines[which].replace(b'"bikes"', b'"cars"')
    assert faults(lines, anchor) == [(which + 1, "edited: its hash does not match its content")]


@given(st.integers(0, 3))
def test_a_removed_record_is_named(which: int) -> None:
    lines, anchor = chain(5)
    del lines[which]
    assert faults(lines, anchor) == [(which + 1, f"removed: record {which + 1} is missing")]


@given(st.integers(1, 5))
def test_a_truncated_end_is_named_by_the_anchor(kept_less: int) -> None:
    lines, anchor = chain(5)
    named = faults(lines[:-kept_less], anchor)
    assert [seq for seq, _ in named] == [6 - kept_less]
    assert named[0][1].startswith("truncated: ")


@given(st.integers(0, 4), st.integers(0, 4))
def test_two_records_swapped_are_found(a: int, b: int) -> None:
    lines, anchor = chain(5)
    lines[a], lines[b] = lines[b], lines[a]
    assert verify(lines, anchor).verified == (a == b)


@given(st.integers(0, 5), st.integers(1, 7), st.integers(0, 5), facts)
def test_an_inserted_record_is_found_wherever_and_however_it_is_forged(
    place: int, seq: int, behind: int, some: dict[str, Any]
) -> None:
    lines, anchor = chain(5)
    previous = GENESIS if behind == 0 else read_link(lines[behind - 1]).hash
    lines.insert(place, to_line(seal(entry(99, some), seq=seq, previous=previous)))
    crashed = place == 5 and seq == 6 and behind == 5
    assert verify(lines, anchor).verified == crashed


@given(st.integers(1, 5))
def test_a_repeated_record_is_found(which: int) -> None:
    lines, anchor = chain(5)
    lines.insert(which, lines[which - 1])
    assert faults(lines, anchor) == [(which, f"reordered or inserted: it stands after record {which}")]


def test_a_whole_chain_written_anew_is_found_by_the_anchor() -> None:
    _, anchor = chain(5)
    forged, _ = chain(5, [{"forged": n} for n in range(5)])
    assert faults(forged, anchor) == [(5, "rewritten: the anchor holds another hash for it")]


def test_one_record_beyond_the_anchor_is_explained_and_no_fault() -> None:
    lines, _ = chain(5)
    _, anchor = chain(4)
    found = verify(lines, anchor)
    assert found.verified
    assert "record 5 is one beyond the anchor" in found.notes[0]


def test_two_records_beyond_the_anchor_are_a_fault() -> None:
    lines, _ = chain(5)
    _, anchor = chain(3)
    assert faults(lines, anchor)[0][0] == 5
    assert "2 records stand beyond the anchor" in faults(lines, anchor)[0][1]


def test_a_missing_anchor_is_a_fault_that_says_what_cannot_be_told() -> None:
    lines, _ = chain(2)
    assert faults(lines, None) == [(2, "the anchor is missing: nobody can tell whether records after it were cut off")]


def test_an_unfinished_last_line_that_was_never_acknowledged_is_no_fault() -> None:
    lines, anchor = chain(3)
    found = verify([*lines, b'{"entry":{"at'], anchor)
    assert found.verified
    assert "13 bytes of an unfinished write follow record 3" in found.notes[0]


def test_an_acknowledged_record_that_lost_its_end_is_a_fault() -> None:
    lines, anchor = chain(3)
    assert faults([*lines[:2], lines[2][:-1]], anchor) == [(3, "truncated: record 3 is missing at the end")]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b'{"seq":NaN}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
        b"1" * 5000 + b"\n",
        b'{"entry":1,"hash":2,"previous":3,"seq":4}\n',
        b'{"entry":{},"hash":"a","previous":"b","seq":true}\n',
    ],
)
def test_what_is_no_record_is_a_broken_link_and_never_a_crash(line: bytes) -> None:
    with pytest.raises(BrokenLink, match="edited"):
        read_link(line)
    lines, anchor = chain(2)
    assert next(seq for seq, _ in faults([lines[0], line, lines[1]], anchor)) == 2


def test_the_same_content_in_another_form_is_found() -> None:
    lines, anchor = chain(2)
    lines[0] = json.dumps(json.loads(lines[0])).encode() + b"\n"
    assert faults(lines, anchor) == [(1, "edited: the line was rewritten in another form")]


def test_a_key_given_twice_is_found() -> None:
    lines, anchor = chain(1)
    lines[0] = lines[0].replace(b'{"entry":', b'{"entry":{},"entry":', 1)
    assert faults(lines, anchor) == [(1, "edited: the line was rewritten in another form")]


def test_a_record_with_fields_of_a_newer_version_still_verifies() -> None:
    lines, _ = chain(1)
    body = json.loads(lines[0])["entry"] | {"added_later": 1}
    line = forge(lines[0], entry=body)
    assert verify([line], Anchor(records=1, head=read_link(line).hash)).verified


@pytest.mark.parametrize("bad", ["\ud800", b"\xff", object(), {1, object()}])
def test_facts_that_are_not_json_are_refused(bad: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        seal(entry(1, {"bad": bad}), seq=1, previous=GENESIS)


def test_a_number_that_json_does_not_have_is_recorded_as_null() -> None:
    record = seal(entry(1, {"t": float("nan"), "gain": float("inf")}), seq=1, previous=GENESIS)
    assert record.entry.facts == {"t": None, "gain": None}
    assert verify([to_line(record)], Anchor(records=1, head=record.hash)).verified


def test_faults_are_capped() -> None:
    lines, anchor = chain(1)
    found = verify([*lines, *([b"x\n"] * 500)], anchor)
    assert len(found.faults) == audit_chain.MAX_FAULTS + 1
