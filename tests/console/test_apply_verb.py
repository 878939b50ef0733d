"""`apply`: the running fleet follows the fleet file."""

import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from temporalio.client import Client

from contracts.ids import lifecycle_id
from contracts.incident import LifecycleStatus
from runtime.settings import MAIN_QUEUE
from tests.console.conftest import Run
from tests.fakes import World, fake_platform
from tests.stories import workers

POLICY: dict[str, Any] = {
    "team": "mobility",
    "cost_center": "cc-7",
    "data": {"table": "bikes", "features": ["hour", "temp"], "label": "busy"},
}


def fleet_file(folder: Path, **endpoints: dict[str, Any]) -> str:
    path = folder / "fleet.yaml"
    path.write_text(json.dumps({"version": 1, "endpoints": endpoints}), encoding="utf-8")
    return str(path)


def working(fleet: Client) -> AbstractAsyncContextManager[None]:
    return workers(fleet, fake_platform(World()), MAIN_QUEUE, training=False)


async def policy_of(fleet: Client, endpoint: str) -> Any:
    status = await fleet.get_workflow_handle(lifecycle_id(endpoint)).query("status", result_type=LifecycleStatus)
    return status.state.policy


async def test_apply_starts_and_configures_what_is_missing(run: Run, fleet: Client, tmp_path: Path) -> None:
    file = fleet_file(tmp_path, bikes=POLICY, trams={**POLICY, "team": "rail"})
    async with working(fleet):
        ran = await run("apply", file, "--json")
        assert ran.exit == 0, ran
        again = await run("apply", file, "--json")
        policy = await policy_of(fleet, "trams")
    assert [(e["endpoint"], e["action"]) for e in ran.data["endpoints"]] == [("bikes", "create"), ("trams", "create")]
    assert policy.team == "rail"
    assert [e["action"] for e in again.data["endpoints"]] == ["unchanged", "unchanged"]


async def test_a_started_lifecycle_can_be_found_by_team(run: Run, fleet: Client, tmp_path: Path) -> None:
    async with working(fleet):
        await run("apply", fleet_file(tmp_path, bikes=POLICY))
        description = await fleet.get_workflow_handle(lifecycle_id("bikes")).describe()
    found = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    assert (found["Endpoint"], found["Team"], found["Stage"], found["WaitingOn"]) == ("bikes", "mobility", "idle", "nothing")


async def test_dry_run_lists_each_changed_field_and_changes_nothing(run: Run, fleet: Client, tmp_path: Path) -> None:
    async with working(fleet):
        await run("apply", fleet_file(tmp_path, bikes=POLICY))
        changed = {**POLICY, "gate": {"refresh": {"t": 2.0}, "margins": {"recall": 0.1}}, "intake": {"cool_down": "7d"}}
        file = fleet_file(tmp_path, bikes=changed, trams=POLICY)
        ran = await run("apply", file, "--dry-run", "--json")
        shown = await run("apply", file, "--dry-run")
        policy = await policy_of(fleet, "bikes")
    found = {c["path"]: (c["old"], c["new"]) for c in ran.data["endpoints"][0]["changes"]}
    assert found["gate.refresh.t"] == (1.0, 2.0)
    assert found["intake.cool_down"] == ("P30D", "P7D")
    assert found["gate.margins.recall"] == (0.05, 0.1)
    assert found["gate.margins.accuracy"] == (0.02, None)
    assert ran.data["endpoints"][1]["action"] == "create"
    assert policy.gate.refresh.t == 1.0
    assert [run.id async for run in fleet.list_workflows("ExecutionStatus = 'Running'")] == ["endpoint/bikes"]
    assert 'intake.cool_down: "P30D" -> "P7D"' in shown.out


async def test_apply_changes_a_running_policy_in_place(run: Run, fleet: Client, tmp_path: Path) -> None:
    async with working(fleet):
        await run("apply", fleet_file(tmp_path, bikes=POLICY))
        first = await fleet.get_workflow_handle(lifecycle_id("bikes")).describe()
        ran = await run("apply", fleet_file(tmp_path, bikes={**POLICY, "team": "night-shift"}), "--json")
        policy = await policy_of(fleet, "bikes")
        second = await fleet.get_workflow_handle(lifecycle_id("bikes")).describe()
    assert ran.data["counts"]["change"] == 1
    assert policy.team == "night-shift"
    assert first.run_id == second.run_id


async def test_an_orphan_is_reported_and_left_running(run: Run, fleet: Client, tmp_path: Path) -> None:
    async with working(fleet):
        await run("apply", fleet_file(tmp_path, bikes=POLICY, trams=POLICY))
        ran = await run("apply", fleet_file(tmp_path, bikes=POLICY), "--json")
        shown = await run("apply", fleet_file(tmp_path, bikes=POLICY))
        still = await policy_of(fleet, "trams")
    assert ran.exit == 0
    assert ran.data["orphaned"] == ["trams"]
    assert "orphaned   trams" in shown.out
    assert still is not None


async def test_a_terminated_lifecycle_is_started_anew(run: Run, fleet: Client, tmp_path: Path) -> None:
    file = fleet_file(tmp_path, bikes=POLICY)
    async with working(fleet):
        await run("apply", file)
        await fleet.get_workflow_handle(lifecycle_id("bikes")).terminate("an accident")
        ran = await run("apply", file, "--json")
        policy = await policy_of(fleet, "bikes")
    assert ran.data["endpoints"][0]["action"] == "create"
    assert policy is not None


async def test_a_mistake_in_the_file_is_named_and_nothing_is_started(run: Run, fleet: Client, tmp_path: Path) -> None:
    file = fleet_file(tmp_path, bikes=POLICY, trams={**POLICY, "taem": "rail"})
    ran = await run("apply", file, "--json")
    assert ran.exit == 2
    assert ran.data["error"]["type"] == "FleetFileError"
    assert "endpoints.trams.taem" in ran.err
    assert [run.id async for run in fleet.list_workflows("ExecutionStatus = 'Running'")] == []


async def test_without_a_worker_apply_says_so_and_the_next_one_completes_it(run: Run, fleet: Client, tmp_path: Path) -> None:
    file = fleet_file(tmp_path, bikes=POLICY)
    alone = await run("apply", file, "--timeout", "1", "--json")
    async with working(fleet):
        ran = await run("apply", file, "--json")
        policy = await policy_of(fleet, "bikes")
    assert alone.exit == 3
    assert "worker" in alone.data["error"]["remedy"] + alone.data["error"]["message"]
    assert ran.exit == 0
    assert policy is not None
