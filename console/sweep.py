"""`sweep`: what outlived its incident goes, and the audit chain says so."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import groupby
from typing import Any

from rich.console import Console
from temporalio.client import WorkflowExecutionStatus

from console.call import Call
from console.exits import Exit
from console.inputs import whoami
from console.screen import Answer, safe, table, utc
from console.temporal import each, execution
from contracts.audit import AuditEntry, AuditEvent
from contracts.ids import bench_training_key, owner_id, training_key
from contracts.inventory import Resource
from contracts.training import Purpose
from platforms.errors import Conflict
from policies.bench_turns import MOST_TURNS


@dataclass(frozen=True)
class Leftovers:
    """The temporary things of one incident, and how its remediation stands."""

    endpoint: str
    incident: str
    resources: tuple[Resource, ...]
    remediation: str
    removed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def outlived(self) -> bool:
        return self.remediation != WorkflowExecutionStatus.RUNNING.name.lower()

    def state_of(self, resource: Resource) -> str:
        if not self.outlived:
            return "kept"
        return "removed" if resource.id in self.removed else "left"


async def sweep(call: Call) -> Answer:
    found = await each(_by_incident(call.platform.inventory.list()), partial(_looked_up, call))
    if not call.given.dry_run:
        found = [_swept(call, item) if item.outlived else item for item in found]
    return _answer(found, dry=call.given.dry_run)


def _by_incident(resources: Sequence[Resource]) -> list[tuple[Resource, ...]]:
    def owner(resource: Resource) -> tuple[str, str]:
        return resource.tags.endpoint, resource.tags.incident

    return [tuple(group) for _, group in groupby(sorted(resources, key=lambda r: (*owner(r), r.id)), key=owner)]


async def _looked_up(call: Call, resources: tuple[Resource, ...]) -> Leftovers:
    tags = resources[0].tags
    status = await execution(call, owner_id(tags.endpoint, tags.incident))
    return Leftovers(tags.endpoint, tags.incident, resources, status.name.lower() if status else "unknown to Temporal")


def _swept(call: Call, item: Leftovers) -> Leftovers:
    """The record comes first: killed in between, the next sweep finds the same things, the same key, and ends the work.

    A job whose worker died with the remediation may still run; it is stopped before its folder goes.
    """
    with suppress(Conflict):  # an earlier sweep recorded the same things, at its own moment
        call.platform.audit.append(_entry(item))
    for key in _job_keys(owner_id(item.endpoint, item.incident)):
        call.platform.trainer.stop(key)
    removal = call.platform.inventory.remove(item.resources)
    return replace(item, removed=tuple(resource.id for resource in removal.removed), failed=removal.failed)


def _job_keys(workflow_id: str) -> Iterator[str]:
    """Of a remediation, or of a run of the shadow bench: a job that never was is nothing to stop."""
    yield from (training_key(workflow_id, purpose) for purpose in Purpose)
    yield from (bench_training_key(workflow_id, n + 1) for n in range(MOST_TURNS))


def _entry(item: Leftovers) -> AuditEntry:
    ids = "\n".join(resource.id for resource in item.resources)
    return AuditEntry(
        key=f"sweep/{item.endpoint}/{item.incident}/{sha256(ids.encode()).hexdigest()[:16]}",
        endpoint=item.endpoint,
        incident=item.incident,
        event=AuditEvent.SWEPT,
        at=datetime.now(UTC),
        facts={
            "by": whoami(),
            "remediation": item.remediation,
            "removing": [{"id": r.id, "kind": r.kind, "bytes": r.bytes, "created": utc(r.created)} for r in item.resources],
        },
    )


def _answer(found: list[Leftovers], *, dry: bool) -> Answer:
    lines = [_line(item, resource, dry=dry) for item in found for resource in item.resources]
    failed = [what for item in found for what in item.failed]
    states = [line["state"] for line in lines]
    counts = {state: states.count(state) for state in ("removed", "would be removed", "kept", "left")}
    data = {"dry_run": dry, "resources": lines, "failed": failed, "counts": counts}
    rows = [
        (line["state"], line["kind"], line["id"], f"{line['endpoint']}/{line['incident'] or '-'}", line["remediation"])
        for line in lines
    ]

    def show(console: Console) -> None:
        if rows:
            console.print(table(("state", "kind", "id", "incident", "remediation"), rows))
        for what in failed:
            console.print(safe(f"could not remove {what}", "red"), soft_wrap=True)
        said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        console.print(safe(said or "nothing temporary is left"))

    return Answer(data, show, Exit.REFUSED if failed or counts["left"] else Exit.DONE)


def _line(item: Leftovers, resource: Resource, *, dry: bool) -> dict[str, Any]:
    state = "would be removed" if dry and item.outlived else item.state_of(resource)
    return {
        "state": state,
        "kind": resource.kind,
        "id": resource.id,
        "bytes": resource.bytes,
        "endpoint": item.endpoint,
        "incident": item.incident,
        "remediation": item.remediation,
    }
