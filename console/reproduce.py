"""`reproduce`: takes a recorded decision again and names what is not the same. Temporal is not needed."""

import re
import sys
from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

from rich.console import Console

from activities.recorded import shown
from activities.reproduction import reproduce as take_again
from console.call import Call
from console.exits import Exit, Missing, Refused, Usage
from console.inputs import incident_name
from console.screen import Answer, Show, plain, safe, table, utc
from contracts.audit import AuditEvent, AuditRecord
from contracts.reproduction import Check, Reproduction, Standing

_DECISIONS: Final = (AuditEvent.DECIDED, AuditEvent.CLOSED)
_PREFIX: Final = re.compile(r"[0-9a-f]{6,64}")
_LIST: Final = "`python starter.py audit list --event closed` lists the decisions."
_EXIT: Final = {Standing.SAME: Exit.DONE, Standing.DIFFERS: Exit.DIFFERENT, Standing.UNCHECKED: Exit.UNCHECKED}
_COLOUR: Final = {Standing.SAME: "green", Standing.DIFFERS: "red", Standing.UNCHECKED: "yellow"}


async def reproduce(call: Call) -> Answer:
    given = call.given
    record = _decision(_found(list(call.platform.audit.read()), given.record))
    nonce = uuid4().hex[:12]
    found = await take_again(call.platform, record, nonce=nonce, offline=given.offline, say=_progress(quiet=given.json))
    return Answer(_data(found, offline=given.offline), _shown(found, record), _EXIT[found.outcome])


def _found(records: list[AuditRecord], name: str) -> AuditRecord:
    """By number, by the first digits of its hash, or the last decision of an incident."""
    if "/" in name:
        return _of_incident(records, name)
    if name.isdigit() and (numbered := [r for r in records if r.seq == int(name)]):
        return numbered[0]
    if not (name.isdigit() or _PREFIX.fullmatch(name)):
        raise Usage(f"RECORD: {name[:80]!r} is no number, no beginning of a hash (6 digits or more) and no NAME/ID.", _LIST)
    hashed = [r for r in records if _PREFIX.fullmatch(name) and r.hash.startswith(name)]
    if len(hashed) > 1:
        raise Usage(f"RECORD: {len(hashed)} records have a hash that begins with {name}.", "Give more digits.")
    if not hashed:
        raise Missing(f"RECORD: there is no audit record {name}.", _LIST)
    return hashed[0]


def _of_incident(records: list[AuditRecord], name: str) -> AuditRecord:
    endpoint, incident = incident_name(name)
    of_it = [r for r in records if (r.entry.endpoint, r.entry.incident) == (endpoint, incident)]
    decisions = [r for r in of_it if r.entry.event in _DECISIONS]
    if not decisions:
        raise Missing(f"RECORD: the audit chain holds no decision on {name}.", _LIST)
    return decisions[-1]


def _decision(record: AuditRecord) -> AuditRecord:
    if record.entry.event not in _DECISIONS:
        raise Refused(f"RECORD: record {record.seq} is {record.entry.event.value!r}, and nothing was decided in it.", _LIST)
    return record


def _progress(*, quiet: bool) -> Callable[[str], None]:
    """On stderr and only to a person: training again takes a while."""

    def say(text: str) -> None:
        if not quiet and sys.stderr.isatty():
            sys.stderr.write(f"{plain(text)} ...\n")
            sys.stderr.flush()

    return say


def _data(found: Reproduction, *, offline: bool) -> dict[str, Any]:
    checks = [check.model_dump(mode="json") for check in found.checks]
    counts = {standing.value: sum(c.standing is standing for c in found.checks) for standing in Standing}
    about = found.model_dump(mode="json", include={"seq", "hash", "event", "endpoint", "incident"})
    return {
        "record": about,
        "outcome": found.outcome.value,
        "offline": offline,
        "counts": counts,
        "checks": checks,
        "notes": list(found.notes),
    }


def _shown(found: Reproduction, record: AuditRecord) -> Show:
    def draw(console: Console) -> None:
        entry = record.entry
        console.print(safe(f"record {record.seq}, {entry.event.value}, {entry.endpoint}/{entry.incident}, {utc(entry.at)}"))
        console.print(table(("step", "what", "standing", ""), [_row(check) for check in found.checks]))
        for check in found.checks:
            if check.standing is Standing.DIFFERS:
                console.print(safe(f"{check.step}: {check.field}", "red"), soft_wrap=True)
                console.print(safe(f"  recorded {shown(check.recorded)}"), soft_wrap=True)
                console.print(safe(f"  found    {shown(check.found)}"), soft_wrap=True)
        for note in found.notes:
            console.print(safe(f"note: {note}"), soft_wrap=True)
        console.print(safe(_sentence(found), _COLOUR[found.outcome]), soft_wrap=True)

    return draw


def _row(check: Check) -> tuple[object, ...]:
    why = check.why or ("see below" if check.standing is Standing.DIFFERS else shown(check.found)[:16])
    return check.step, check.field, safe(check.standing.value, _COLOUR[check.standing]), why


def _sentence(found: Reproduction) -> str:
    different = sum(check.standing is Standing.DIFFERS for check in found.checks)
    unchecked = sum(check.standing is Standing.UNCHECKED for check in found.checks)
    if different:
        return f"not the same: {different} differ from the record" + (f", {unchecked} could not be checked" if unchecked else "")
    if unchecked:
        return f"nothing differs, but {unchecked} could not be checked"
    return "the same: everything that was checked is as it was recorded, to the last bit"
