"""`sweep`: what outlived its incident goes, what belongs to a running one stays, and the chain says so."""

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from console.call import Call, perform
from console.sweep import sweep
from contracts.audit import AuditRecord
from contracts.ids import remediation_id
from contracts.incident import Stage
from contracts.training import Tags
from platforms.aws.audit import AwsAudit
from platforms.aws.calls import Aws
from platforms.aws.inventory import AwsInventory
from platforms.aws.objects import Objects
from platforms.aws.trainer import AwsTrainer
from platforms.files import json_bytes, key_folder, make_folder, write_contract
from platforms.local.audit import LocalAudit
from platforms.tagged import TAGS, Tagged
from tests.console.conftest import Run
from tests.fakes import World, fake_platform
from tests.stories import a_policy, running_loop, until

RUNNING, GONE, NEVER = "20240601T000000Z-000001", "20240601T000000Z-000002", "20240601T000000Z-000003"


def leave(home: Path, incident: str, kind: str = "snapshots") -> Path:
    """A folder as a snapshot or a training job leaves it."""
    folder = make_folder(key_folder(home / kind, f"bikes/{incident}/{kind}"))
    tags = Tags(endpoint="bikes", incident=incident, team="mobility", cost_center="cc-7")
    write_contract(folder / TAGS, Tagged.of(tags, kind))
    (folder / "rows.parquet").write_bytes(b"rows")
    return folder


async def remediation(client: Client, incident: str, queue: str) -> WorkflowHandle[Any, Any]:
    """A run that nobody works on: all that sweep asks is whether it runs."""
    return await client.start_workflow("Remediation", id=remediation_id("bikes", incident), task_queue=queue)


def swept(home: Path) -> list[AuditRecord]:
    return list(LocalAudit(home, home / "anchors").read())


async def test_what_outlived_its_incident_is_removed_named_and_recorded(
    run: Run, fleet: Client, home: Path, task_queue: str
) -> None:
    await remediation(fleet, RUNNING, task_queue)
    await (await remediation(fleet, GONE, task_queue)).terminate("an accident")
    kept, *gone = leave(home, RUNNING), leave(home, GONE), leave(home, GONE, "jobs"), leave(home, NEVER)
    ran = await run("sweep", "--json")
    again = await run("sweep", "--json")
    assert ran.exit == 0, ran.err
    assert kept.is_dir()
    assert not any(folder.exists() for folder in gone)
    found = {(r["incident"], r["state"], r["remediation"]) for r in ran.data["resources"]}
    assert found == {(RUNNING, "kept", "running"), (GONE, "removed", "terminated"), (NEVER, "removed", "unknown to Temporal")}
    assert [(r.entry.event.value, r.entry.incident) for r in swept(home)] == [("swept", GONE), ("swept", NEVER)]
    assert len(swept(home)[0].entry.facts["removing"]) == 2
    assert again.data["counts"] == {"removed": 0, "would be removed": 0, "kept": 1, "left": 0}


async def test_a_dry_run_says_what_would_go_and_touches_nothing(run: Run, fleet: Client, home: Path) -> None:
    folder = leave(home, NEVER)
    ran, shown = await run("sweep", "--dry-run", "--json"), await run("sweep", "--dry-run")
    assert ran.data["resources"][0]["state"] == "would be removed"
    assert "1 would be removed" in shown.out
    assert folder.is_dir()
    assert swept(home) == []


async def test_a_sweep_killed_after_its_record_is_ended_by_the_next_one(
    run: Run, fleet: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = leave(home, NEVER)
    with monkeypatch.context() as killed:
        killed.setattr("platforms.local.inventory.LocalInventory.remove", _killed)
        with pytest.raises(_Killed):
            await run("sweep")
    ran = await run("sweep", "--json")
    assert ran.data["counts"]["removed"] == 1
    assert not folder.exists()
    assert len(swept(home)) == 1


class _Killed(BaseException):
    pass


def _killed(*_: object) -> None:
    raise _Killed


async def test_no_record_no_removal(run: Run, fleet: Client, home: Path) -> None:
    LocalAudit(home, home / "anchors")
    folder = leave(home, NEVER)
    chain = make_folder(home / "audit") / "audit.jsonl"
    chain.write_bytes(b'{"not": "the chain"}\n')
    ran = await run("sweep", "--json")
    assert ran.exit == 5
    assert ran.data["error"]["type"] == "Corrupt"
    assert folder.is_dir()


async def test_a_job_whose_worker_died_is_stopped_before_its_folder_goes(
    temporal_env: WorkflowEnvironment, task_queue: str, run: Run
) -> None:
    world = World(training_holds=True)
    world.champion()
    async with running_loop(temporal_env, world, task_queue, a_policy()) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.TRAIN)
        await until(_began(world), "a job that runs: the stage is shown before it starts")
        await handle.terminate("an accident")
    world.stopped.clear()
    answer = await perform(lambda call: sweep(_on(call, world)), argparse.Namespace(dry_run=False, timeout=10.0))
    assert answer.exit == 0
    assert world.stopped == set(world.jobs)
    assert world.resources == {}
    assert world.events()[-1] == "swept"


def _began(world: World) -> Callable[[], Awaitable[bool]]:
    async def there() -> bool:
        return bool(world.jobs)

    return there


def _on(call: Call, world: World, **replaced: Any) -> Call:
    call.platform = fake_platform(world, **replaced)
    return call


async def test_on_aws_folders_and_tagged_models_of_an_ended_incident_go_and_the_chain_in_s3_says_so(
    aws: Aws, fleet: Client, run: Run, task_queue: str
) -> None:
    objects = Objects(aws)
    await remediation(fleet, RUNNING, task_queue)
    for mark, incident in (("a" * 16, RUNNING), ("b" * 16, GONE)):
        tags = Tags(endpoint="bikes", incident=incident, team="mobility", cost_center="cc-7")
        objects.put(f"snapshots/{mark}/{TAGS}", json_bytes(Tagged.of(tags, "snapshot")))
        objects.put(f"snapshots/{mark}/rows.parquet", b"rows")
    ports = {"inventory": AwsInventory(aws, objects), "audit": AwsAudit(aws, objects), "trainer": AwsTrainer(aws, objects)}
    answer = await perform(lambda call: sweep(_on(call, World(), **ports)), argparse.Namespace(dry_run=False, timeout=10.0))
    assert (answer.exit, answer.data["counts"]["removed"], answer.data["counts"]["kept"]) == (0, 1, 1)
    assert [key.split("/")[1] for key in objects.keys("snapshots/")] == ["a" * 16] * 2
    assert [(r.entry.event.value, r.entry.incident) for r in AwsAudit(aws, objects).read()] == [("swept", GONE)]


async def test_without_temporal_nothing_is_swept(home: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = leave(home, NEVER)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    ran = await run("sweep", "--json")
    assert ran.exit == 3
    assert folder.is_dir()
