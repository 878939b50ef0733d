"""`apply` keeps a schedule for each shadow bench, and `bench` shows what it recorded and takes a turn at once."""

import argparse
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client

from console import schedules
from console.bench import bench
from console.call import Call
from console.schedules import BenchAction, BenchPlan, carry_out, planned
from contracts.fleet import EndpointPolicy
from contracts.ids import bench_id
from contracts.training import Tags
from platforms.files import key_folder, make_folder, write_contract
from platforms.tagged import TAGS, Tagged
from runtime.settings import MAIN_QUEUE, Settings
from tests.console.conftest import Run
from tests.console.test_apply_verb import POLICY, working
from tests.console.test_apply_verb import fleet_file as written
from tests.fakes import World, fake_platform
from tests.stories import a_policy, workers

SHADOWED: dict[str, Any] = {**POLICY, "training": {"judging": "shadow"}}


async def benches(run: Run, *words: str) -> dict[str, str]:
    ran = await run("apply", *words, "--json")
    assert ran.exit == 0, ran
    return {one["endpoint"]: one["action"] for one in ran.data["benches"]}


async def scheduled(fleet: Client) -> set[str]:
    return {one.id async for one in await fleet.list_schedules()}


async def test_apply_creates_changes_and_removes_the_schedule(run: Run, fleet: Client, tmp_path: Path) -> None:
    file = written(tmp_path, bikes=SHADOWED, trams=POLICY)
    weekly = {"judging": "shadow", "bench": {"period": "14d"}}
    async with working(fleet):
        assert await benches(run, file, "--dry-run") == {"bikes": "create"}
        assert await benches(run, file) == {"bikes": "create"}
        assert await benches(run, file) == {"bikes": "unchanged"}
        described = await fleet.get_schedule_handle(bench_id("bikes")).describe()
        assert [one.every for one in described.schedule.spec.intervals] == [timedelta(days=7)]
        file = written(tmp_path, bikes={**POLICY, "training": weekly}, trams=SHADOWED)
        assert await benches(run, file) == {"bikes": "change", "trams": "create"}
        described = await fleet.get_schedule_handle(bench_id("bikes")).describe()
        assert [one.every for one in described.schedule.spec.intervals] == [timedelta(days=14)]
        file = written(tmp_path, bikes=POLICY)
        assert await benches(run, file) == {"bikes": "remove", "trams": "remove"}
        assert await benches(run, file) == {}


async def test_creating_and_removing_twice_is_the_same_as_once(run: Run, fleet: Client) -> None:
    call = Call(argparse.Namespace(timeout=30, given=None), Settings())
    call._client = fleet
    policy = EndpointPolicy.model_validate(SHADOWED)
    create, remove = BenchPlan("ferries", BenchAction.CREATE, policy), BenchPlan("ferries", BenchAction.REMOVE, None)
    await carry_out(call, create)
    await carry_out(call, create)
    assert [plan.action for plan in await planned(call, {"ferries": policy})] == [BenchAction.UNCHANGED]
    await carry_out(call, remove)
    await carry_out(call, remove)
    assert [plan.action for plan in await planned(call, {"ferries": policy})] == [BenchAction.CREATE]


async def test_a_turn_at_once_is_followed_to_its_end_and_shown(run: Run, fleet: Client) -> None:
    world = World(endpoint="ferries", label_lead=timedelta(0))
    world.champion(quality=0.6)
    policy = a_policy(training={"judging": "shadow", "bench": {"warm_up": 2}}, gate={"resamples": 200})
    given = argparse.Namespace(endpoint="ferries", now=True, timeout=60, json=True)
    call = Call(given, Settings())
    call._client = fleet
    call.__dict__["platform"] = fake_platform(world)
    await fleet.create_schedule(bench_id("ferries"), schedules._schedule("ferries", policy))
    try:
        async with workers(fleet, fake_platform(world), MAIN_QUEUE):
            answer = await bench(call)
    finally:
        await fleet.get_schedule_handle(bench_id("ferries")).delete()
    assert answer.data["run"]["turns"] == 3
    assert answer.data["turns"][-1]["verdict"] == "promote"
    assert answer.data["turns"][-1]["alarm"] == {"id": world.raised[0].id, "kind": "improvement", "raised": True}
    assert answer.data["losses"]
    assert answer.data["rows"] == 14 * 24


async def test_an_endpoint_without_a_bench_is_missing_and_says_what_to_do(run: Run, fleet: Client) -> None:
    shown, now = await run("bench", "canoes", "--json"), await run("bench", "canoes", "--now", "--json")
    assert (shown.exit, now.exit) == (4, 4)
    assert "judging: shadow" in shown.data["error"]["remedy"]
    assert "no shadow bench is scheduled" in now.data["error"]["message"]


async def test_sweep_knows_a_running_bench_from_one_that_has_ended(run: Run, fleet: Client, home: Path, task_queue: str) -> None:
    await fleet.start_workflow("ShadowBench", id=f"{bench_id('bikes')}-2026-11-23T00:00:00Z", task_queue=task_queue)
    folders = {}
    for incident in ("shadow-2026-11-23T00:00:00Z", "shadow-2026-11-16T00:00:00Z"):
        folders[incident] = make_folder(key_folder(home / "snapshots", incident))
        tags = Tags(endpoint="bikes", incident=incident, team="mobility", cost_center="cc-7")
        write_contract(folders[incident] / TAGS, Tagged.of(tags, "snapshots"))
    ran = await run("sweep", "--json")
    assert {one["incident"]: one["state"] for one in ran.data["resources"]} == {
        "shadow-2026-11-23T00:00:00Z": "kept",
        "shadow-2026-11-16T00:00:00Z": "removed",
    }
