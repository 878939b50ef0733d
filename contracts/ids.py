"""Workflow ids and idempotency keys, minted in one place."""

from datetime import datetime
from hashlib import sha256

from contracts.training import Purpose

FLEET = "fleet"


def lifecycle_id(endpoint: str) -> str:
    return f"endpoint/{endpoint}"


def incident_id(first_alarm: str, as_of: datetime) -> str:
    """An incident is named for its first alarm: its UTC time plus six hex digits of its id. Sortable, never reused."""
    return f"{as_of:%Y%m%dT%H%M%SZ}-{sha256(first_alarm.encode()).hexdigest()[:6]}"


def remediation_id(endpoint: str, incident: str) -> str:
    return f"endpoint/{endpoint}/incident/{incident}"


def rollback_id(endpoint: str, request: str) -> str:
    return f"endpoint/{endpoint}/rollback/{request}"


def step_key(workflow_id: str, stage: str, n: int = 1) -> str:
    """The idempotency key of one side effect: doing it twice under one key is the same as once."""
    return f"{workflow_id}/{stage}/{n}"


def training_key(workflow_id: str, purpose: Purpose) -> str:
    """The key of a remediation's training job; the sweeper stops by it what a dead worker left running."""
    return step_key(workflow_id, f"train-{purpose.value}")


def split_incident(name: str) -> tuple[str, str]:
    """Read 'NAME/ID' as people write it on the command line.

    Raises:
        ValueError: the text has no slash or one of its halves is empty.
    """
    endpoint, slash, incident = name.partition("/")
    if not (slash and endpoint and incident):
        raise ValueError(f"{name!r} is not an incident: write ENDPOINT/ID, for example bikes/20120304T000000Z-1f2e3d")
    return endpoint, incident
