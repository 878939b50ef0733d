"""What every audit store does with an entry: its bytes, the record a line holds, and a key that stands for one entry only."""

from pydantic import ValidationError

from contracts.audit import AuditEntry, AuditRecord
from platforms.errors import Conflict, Invalid
from policies import audit_chain
from policies.audit_chain import BrokenLink


def entry_bytes(entry: AuditEntry) -> bytes:
    """The entry's canonical bytes, by which two entries are compared. Raises: Invalid."""
    try:
        return audit_chain.canonical(audit_chain.entry_body(entry))
    except (ValueError, TypeError) as error:
        raise Invalid(f"audit entry {entry.key!r}: its facts are not JSON: {str(error)[:200]}. Send only JSON values") from None


def record_of(line: bytes) -> AuditRecord:
    """Raises: BrokenLink (the line is not what was written, or no record)."""
    link = audit_chain.read_link(line)
    try:
        return AuditRecord(seq=link.seq, entry=AuditEntry.model_validate(link.entry), previous=link.previous, hash=link.hash)
    except ValidationError as error:
        raise BrokenLink(str(error).partition("\n")[0]) from None


def hold_to_key(key: str, body: bytes, record: AuditRecord) -> None:
    """Raises: Conflict (the record under this key says something else than `body`)."""
    if body != entry_bytes(record.entry):
        raise Conflict(f"audit key {key!r} stands for record {record.seq}, which says something else. Use a new key")
