"""`coverage`: the look that a snapshot would take, before any alarm."""

from datetime import timedelta
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from console.exits import Exit
from platforms.local.feature_store import LocalFeatureStore
from tests.console.conftest import Run
from tests.fakes import World
from tests.platforms.data_fixtures import at, changed, hourly
from tests.stories import a_policy, running_loop

POLICY = a_policy(
    data={"table": "bikes", "features": ["hour", "temp"], "label": "busy", "label_delay": "1d"},
    training={"recipe": {"horizons": ["30d"]}},
)


async def test_a_good_window_is_told_with_its_label_delays(
    temporal_env: WorkflowEnvironment, task_queue: str, home: Path, run: Run
) -> None:
    LocalFeatureStore(home).append("bikes", hourly(60))
    async with running_loop(temporal_env, World(), task_queue, POLICY) as loop:
        ran = await run("coverage", loop.world.endpoint, "--json")
        told = await run("coverage", loop.world.endpoint)
    assert ran.exit == Exit.DONE
    assert (ran.data["verdict"], ran.data["rows"], ran.data["as_of"]) == ("sufficient", 697, "2012-03-01T23:00:00Z")
    assert "50% within 1.1 d" in told.out
    assert not (home / "snapshots").exists()


async def test_a_broken_column_is_named_before_any_alarm(
    temporal_env: WorkflowEnvironment, task_queue: str, home: Path, run: Run
) -> None:
    rows = hourly(60)
    empty = [None if i >= 55 * 24 else value for i, value in enumerate(rows["temp"].to_pylist())]
    LocalFeatureStore(home).append("bikes", changed(rows, temp=empty))
    async with running_loop(temporal_env, World(), task_queue, POLICY) as loop:
        ran = await run("coverage", loop.world.endpoint, "--as-of", at(60).isoformat())
        early = await run("coverage", loop.world.endpoint, "--as-of", (at(54) - timedelta(hours=1)).isoformat(), "--json")
        wrong = await run("coverage", loop.world.endpoint, "--as-of", "yesterday")
    assert ran.exit == Exit.REFUSED
    assert f"broken    temp is empty since {at(55):%Y-%m-%d}" in ran.out
    assert early.data["verdict"] == "sufficient"
    assert wrong.exit == Exit.USAGE
    assert "--as-of" in wrong.err


async def test_the_bench_with_its_own_members_is_held_to_a_window_that_can_hold_the_days_asked_for(
    temporal_env: WorkflowEnvironment, task_queue: str, home: Path, run: Run
) -> None:
    LocalFeatureStore(home).append("bikes", hourly(60))
    policy = a_policy(data=POLICY.data.model_dump(mode="json"), training={"judging": "shadow"})
    async with running_loop(temporal_env, World(), task_queue, policy) as loop:
        ran = await run("coverage", loop.world.endpoint, "--json")
    assert policy.data.coverage.min_days > 7, "which no member of 7 days can hold"
    assert (ran.exit, ran.data["verdict"], ran.data["rows"]) == (Exit.DONE, "sufficient", 697)
