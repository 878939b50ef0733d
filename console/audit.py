"""`audit`: reads, verifies and exports the chain. Temporal is not needed."""

import json
import os
import re
import shlex
import tempfile
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rich.console import Console

from console.call import Call
from console.exits import Broken, Exit, Missing, Refused, Usage
from console.inputs import endpoint_name
from console.screen import Answer, Show, lines, safe, table, utc
from contracts.audit import Anchor, AuditRecord, Verification
from policies import audit_chain

_ANCHOR: Final = re.compile(r"(\d{1,12}):([0-9a-f]{64})")


async def list_records(call: Call) -> Answer:
    given = call.given
    if given.limit < 0:
        raise Usage(f"--limit: {given.limit} is below 0.", "0 lists all.")
    chosen = (record for record in _records(call) if _wanted(record, given.incident, given.event))
    shown = list(deque(chosen, maxlen=given.limit or None))
    rows = [(r.seq, utc(r.entry.at), r.entry.event.value, r.entry.endpoint, r.entry.incident or "-", r.hash[:12]) for r in shown]

    def show(console: Console) -> None:
        console.print(table(("seq", "at", "event", "endpoint", "incident", "hash"), rows))

    return Answer({"records": [record.model_dump(mode="json") for record in shown]}, show)


def _records(call: Call) -> Iterable[AuditRecord]:
    endpoint = call.given.endpoint
    return call.platform.audit.read(endpoint_name(endpoint) if endpoint is not None else None)


def _wanted(record: AuditRecord, incident: str | None, event: str | None) -> bool:
    entry = record.entry
    named = incident is None or incident in (entry.incident, f"{entry.endpoint}/{entry.incident}")
    return named and (event is None or event == entry.event.value)


async def show(call: Call) -> Answer:
    record = next((r for r in call.platform.audit.read() if r.seq == call.given.seq), None)
    if record is None:
        raise Missing(f"SEQ: there is no audit record {call.given.seq}.", "`python starter.py audit list --limit 0` lists all.")
    data = record.model_dump(mode="json")
    return Answer({"record": data}, lines(json.dumps(data, indent=2, ensure_ascii=False).splitlines()))


async def verify(call: Call) -> Answer:
    given = call.given
    if (given.file is None) != (given.anchor is None):
        raise Usage("--file and --anchor go together.", "`audit export` prints the anchor of the file that it writes.")
    found = _verify_file(given.file, given.anchor) if given.file else call.platform.audit.verify()
    return Answer(found.model_dump(mode="json"), _verdict(found), Exit.DONE if found.verified else Exit.BROKEN)


def _verify_file(file: str, anchor: str) -> Verification:
    """Needs nothing but the file: an auditor can do it anywhere."""
    match = _ANCHOR.fullmatch(anchor)
    if match is None:
        raise Usage(f"--anchor: {anchor[:80]!r} is not RECORDS:HASH.", "`audit export` prints it.")
    try:
        with Path(file).open("rb") as chain:
            return audit_chain.verify(chain, Anchor(records=int(match[1]), head=match[2]))
    except OSError as error:
        raise Usage(f"--file: {file} can't be read ({error.strerror}).") from error


def _verdict(found: Verification) -> Show:
    def draw(console: Console) -> None:
        if found.verified:
            console.print(safe(f"the chain holds: {found.records} records, head {found.head or '-'}", "green"), soft_wrap=True)
        else:
            console.print(safe(f"the chain is broken: {len(found.faults)} faults in {found.records} records", "red"))
        for fault in found.faults:
            console.print(safe(f"record {fault.seq}: {fault.what}"), soft_wrap=True)
        for note in found.notes:
            console.print(safe(f"note: {note}"), soft_wrap=True)

    return draw


async def export(call: Call) -> Answer:
    found = call.platform.audit.verify()
    if not found.verified:
        raise Broken(
            "the audit chain does not hold, so nothing was written.", "`python starter.py audit verify` names the faults."
        )
    chain = [audit_chain.to_line(record) for record in _records(call)]
    anchor = _anchor(chain) if call.given.endpoint is None else None
    target = Path(call.given.file)
    _write(target, chain)
    data = {"file": str(target), "records": len(chain), "anchor": anchor}
    return Answer(data, _exported(target, len(chain), anchor))


def _anchor(chain: list[bytes]) -> str:
    """What the file has to be held against. Raises: Refused (records that this version can't write out whole)."""
    head = audit_chain.read_link(chain[-1]).hash if chain else audit_chain.GENESIS
    anchor = Anchor(records=len(chain), head=head)
    if not audit_chain.verify(chain, anchor).verified:
        raise Refused(
            "the chain holds records of a newer version, which this one can't write out whole.", "Export with that version."
        )
    return f"{anchor.records}:{anchor.head}"


def _write(target: Path, chain: list[bytes]) -> None:
    """In one step: the old file or the new one, never a half. Raises: Refused (folder missing, no right, disk full)."""
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.writelines(chain)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise Refused(
            f"FILE: {target} can't be written ({error.strerror}).", "Check the folder, its rights and the disk."
        ) from error


def _exported(target: Path, records: int, anchor: str | None) -> Show:
    check = f"check it anywhere: python starter.py audit verify --file {shlex.quote(str(target))} --anchor {anchor}"
    return lines([f"{records} records written to {target}", *([check] if anchor else [])])
