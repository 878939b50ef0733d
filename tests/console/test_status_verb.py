"""`status`: the fleet at a glance, one endpoint in full, and the truth when nobody answers."""

from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from contracts.evaluation import Verdict
from contracts.ids import lifecycle_id
from contracts.incident import Stage
from contracts.rollout import Manifest
from contracts.training import ModelRef
from platforms.local.manifests import LocalManifests
from tests.console.conftest import Run, address, run_starter
from tests.console.test_apply_verb import POLICY, fleet_file, working
from tests.fakes import AS_OF, World, digest, fake_platform
from tests.stories import Loop, a_policy, an_alarm, start_lifecycle, until, workers

ASKING = a_policy(review={"ask_on": [verdict.value for verdict in Verdict]})
HOSTILE = "\x1b]0;owned\x07\x1b[2J[bold red]drift[/] \u202egnirts \x9b31m"


def manifest_in(home: Path, endpoint: str, champion: str = "champion") -> Manifest:
    model = ModelRef(endpoint=endpoint, digest=digest(champion))
    wanted = Manifest(endpoint=endpoint, revision=1, champion=model, incident="first", promoted_as_of=AS_OF, key=f"{endpoint}/1")
    return LocalManifests(home).write(wanted)


async def test_an_empty_fleet_says_how_to_begin(run: Run, fleet: Client) -> None:
    shown, ran = await run("status"), await run("status", "--json")
    assert (ran.exit, ran.data) == (0, {"endpoints": []})
    assert "apply fleet.yaml" in shown.out


async def test_starter_answers_from_a_process_of_its_own(fleet: Client, temporal_env: WorkflowEnvironment, home: Path) -> None:
    ran = await run_starter("status", "--json", TEMPORAL_ADDRESS=address(temporal_env))
    assert (ran.exit, ran.data, ran.err) == (0, {"endpoints": []}, "")


async def test_the_table_has_a_line_for_each_endpoint(run: Run, fleet: Client, tmp_path: Path, home: Path) -> None:
    manifest = manifest_in(home, "bikes")
    async with working(fleet):
        await run("apply", fleet_file(tmp_path, bikes=POLICY, trams=POLICY))
        await run("pause", "trams", "--reason", "works")
        ran, shown = await run("status", "--json"), await run("status")
    bikes, trams = ran.data["endpoints"]
    assert (bikes["endpoint"], bikes["stage"], bikes["waiting_on"], bikes["answered"]) == ("bikes", "idle", "nothing", True)
    assert bikes["champion"] == manifest.champion.digest
    assert (trams["stage"], trams["paused"], trams["champion"]) == ("paused", True, None)
    lines = shown.out.splitlines()
    assert lines[0].split()[:3] == ["endpoint", "stage", "champion"]
    assert lines[1].split()[:3] == ["bikes", "idle", manifest.champion.digest[:8]]


async def test_without_a_worker_the_table_comes_from_the_index_and_says_so(run: Run, fleet: Client, tmp_path: Path) -> None:
    await run("apply", fleet_file(tmp_path, bikes=POLICY), "--timeout", "1")
    ran, shown = await run("status", "--timeout", "1", "--json"), await run("status", "--timeout", "1")
    one = await run("status", "bikes", "--timeout", "1", "--json")
    assert ran.data["endpoints"][0]["answered"] is False
    assert ran.data["endpoints"][0]["stage"] == "idle"
    assert "idle ?" in shown.out
    assert "python worker.py" in shown.out
    assert one.exit == 3


async def test_the_page_of_an_endpoint_in_review_tells_what_a_reviewer_needs(
    run: Run, fleet: Client, task_queue: str, home: Path
) -> None:
    world = World()
    world.champion()
    manifest_in(home, world.endpoint)
    async with workers(fleet, fake_platform(world), task_queue):
        lifecycle = await start_lifecycle(fleet, task_queue, world.endpoint)
        await lifecycle.execute_update("configure", ASKING)
        await lifecycle.signal("alarm", an_alarm(endpoint=world.endpoint))
        await lifecycle.signal("alarm", "not an alarm at all")
        await lifecycle.signal("approve", {"reviewer": "ada", "evidence": digest("older"), "note": "early"})
        handle = await Loop(None, fleet, world, lifecycle, task_queue).in_stage(Stage.REVIEW)  # type: ignore[arg-type]
        await handle.signal("approve", {"reviewer": "ada", "evidence": digest("older"), "note": "stale"})
        ran, shown, table = (
            await run("status", world.endpoint, "--json"),
            await run("status", world.endpoint),
            await run("status"),
        )
        await run("reject", handle.id.removeprefix("endpoint/").replace("incident/", ""), "--note", "enough", "--unsigned")
        await until(lambda: _closed(fleet, world), "the incident's end")
        after = await run("status", world.endpoint)
    work = ran.data["remediation"]
    assert ran.data["stage"] == "incident"
    assert (work["stage"], work["waiting_on"]) == ("review", "person")
    for said in (
        work["judgement"]["sentence"],
        work["evidence"],
        "decide until",
        "quarantine (1)",
        "refused decisions (",
        handle.id,
    ):
        assert said in shown.out
    assert work["review_deadline"][:16] in shown.out.replace("Z", "")
    assert "review" in table.out
    assert "person" in table.out
    assert "last incidents" in after.out
    assert "held" in after.out


async def _closed(fleet: Client, world: World) -> bool:
    status = await fleet.get_workflow_handle(lifecycle_id(world.endpoint)).query("status")
    return bool(status["state"]["history"])


async def test_what_alarms_and_reviewers_write_never_reaches_the_terminal_as_it_is(
    run: Run, fleet: Client, task_queue: str
) -> None:
    world = World()
    async with workers(fleet, fake_platform(world), task_queue, training=False):
        lifecycle = await start_lifecycle(fleet, task_queue, world.endpoint)
        await lifecycle.signal("alarm", an_alarm(endpoint=world.endpoint, message=HOSTILE, source=HOSTILE))
        await lifecycle.signal("pause", {"by": HOSTILE, "reason": HOSTILE})
        await lifecycle.signal(HOSTILE, HOSTILE)
        shown, ran = await run("status", world.endpoint), await run("status", world.endpoint, "--json")
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown.out)
    assert r"\x1b]0;owned\x07" in shown.out
    assert "[bold red]drift[/]" in shown.out
    assert ran.out.isascii()
    assert ran.data["state"]["pending"][0]["message"] == HOSTILE


async def test_a_manifest_that_can_not_be_read_is_shown_and_hides_nothing_else(
    run: Run, fleet: Client, tmp_path: Path, home: Path
) -> None:
    manifest_in(home, "bikes")
    written = [path for path in (home / "manifests" / "bikes").iterdir() if path.suffix == ".json"]
    for path in written:
        path.write_text("{", encoding="utf-8")
    async with working(fleet):
        await run("apply", fleet_file(tmp_path, bikes=POLICY))
        ran, shown = await run("status", "bikes", "--json"), await run("status", "bikes")
    assert ran.exit == 0
    assert str(home) in ran.data["manifest_error"]
    assert "problem" in shown.out
    assert ran.data["state"]["policy"]["team"] == "mobility"


@pytest.mark.parametrize("name", ["no such", "../x", "-", "x" * 64])
async def test_a_name_that_can_be_no_endpoint_is_wrong_usage(run: Run, name: str) -> None:
    ran = await run("status", "--json", "--", name)
    assert ran.exit == 2
    assert "ENDPOINT" in ran.data["error"]["message"]
