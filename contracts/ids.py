"""Workflow ids and idempotency keys, minted in one place."""

from datetime import datetime
from hashlib import sha256

from contracts.training import Purpose

FLEET = "fleet"
_BENCH = "shadow"
"""No incident begins so: it begins with its time."""


def lifecycle_id(endpoint: str) -> str:
    return f"endpoint/{endpoint}"


def incident_id(first_alarm: str, as_of: datetime) -> str:
    """An incident is named for its first alarm: its UTC time plus six hex digits of its id. Sortable, never reused."""
    return f"{as_of:%Y%m%dT%H%M%SZ}-{sha256(first_alarm.encode()).hexdigest()[:6]}"


def remediation_id(endpoint: str, incident: str) -> str:
    return f"endpoint/{endpoint}/incident/{incident}"


def rollback_id(endpoint: str, request: str) -> str:
    return f"endpoint/{endpoint}/rollback/{request}"


def bench_id(endpoint: str) -> str:
    """Of the shadow bench's schedule and of its workflow, to whose runs the schedule appends a time."""
    return f"shadow/{endpoint}"


def bench_tag(endpoint: str, workflow_id: str) -> str:
    """What stands in the place of an incident on the temporary things of one run of the bench; see `owner_id`."""
    return f"{_BENCH}{workflow_id.removeprefix(bench_id(endpoint))}"


def owner_id(endpoint: str, incident: str) -> str:
    """The workflow to which temporary things with these tags belong."""
    is_bench = incident == _BENCH or incident.startswith(f"{_BENCH}-")
    return f"{bench_id(endpoint)}{incident.removeprefix(_BENCH)}" if is_bench else remediation_id(endpoint, incident)


def turn_key(endpoint: str, settings: str, as_of: datetime, step: str) -> str:
    """The key of one change of the bench's record: the same turn of the same record, whichever run does it."""
    return f"{bench_id(endpoint)}/{settings[:16]}/{as_of:%Y%m%dT%H%M%SZ}/{step}"


def bench_alarm(endpoint: str, kind: str, as_of: datetime) -> str:
    """Id of the alarm of one turn: a repeated turn raises nothing new."""
    return f"shadow-bench-{endpoint}-{kind}-{as_of:%Y%m%dT%H%M%SZ}"


def step_key(workflow_id: str, stage: str, n: int = 1) -> str:
    """The idempotency key of one side effect: doing it twice under one key is the same as once."""
    return f"{workflow_id}/{stage}/{n}"


def late_notice_id(key: str) -> str:
    """The workflow that goes on telling what a channel has missed; `key` is the notice's."""
    return f"{key}/late"


def training_key(workflow_id: str, purpose: Purpose) -> str:
    """The key of a remediation's training job; the sweeper stops by it what a dead worker left running."""
    return step_key(workflow_id, f"train-{purpose.value}")


def bench_training_key(workflow_id: str, n: int) -> str:
    """The key of the n-th job of one run of the bench, from 1."""
    return step_key(workflow_id, "train-bench", n)


def split_incident(name: str) -> tuple[str, str]:
    """Read 'NAME/ID' as people write it on the command line.

    Raises:
        ValueError: the text has no slash or one of its halves is empty.
    """
    endpoint, slash, incident = name.partition("/")
    if not (slash and endpoint and incident):
        raise ValueError(f"{name!r} is not an incident: write ENDPOINT/ID, for example bikes/20120304T000000Z-1f2e3d")
    return endpoint, incident
