"""`alarm`: raised by hand, kept, and refused with a reason where it can't be right."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from contracts.evaluation import Verdict
from contracts.ids import incident_id
from tests.console.conftest import Run
from tests.fakes import AS_OF, World
from tests.stories import Loop, a_policy, running_loop, start_lifecycle

ASKING = a_policy(review={"ask_on": [verdict.value for verdict in Verdict]})
MOMENT = "2024-06-01T02:00:00+02:00"


@pytest_asyncio.fixture(loop_scope="session")
async def loop(temporal_env: WorkflowEnvironment, task_queue: str) -> AsyncIterator[Loop]:
    world = World(training_holds=True)
    world.champion()
    async with running_loop(temporal_env, world, task_queue, ASKING) as running:
        yield running
        await (await running.remediation()).terminate("the test is over")


async def test_an_alarm_by_hand_opens_an_incident(run: Run, loop: Loop) -> None:
    name = loop.world.endpoint
    words = ("--kind", "business_kpi", "--severity", "high", "--metric", "refunds=12.5:10", "--metric", "complaints=3")
    ran = await run("alarm", name, "--as-of", MOMENT, "--id", "call-7", "--message", "refunds doubled", *words, "--json")
    handle = await loop.remediation()
    status = await loop.incident_status(handle)
    opened = (await loop.status()).state.open
    assert ran.exit == 0, ran.err
    assert ran.data["alarm"] == "call-7"
    assert ran.data["as_of"] == "2024-06-01T00:00:00Z"
    assert ran.data["fate"] in ("pending", "opened")
    assert status.alarms == ("call-7",)
    assert opened is not None
    assert opened.incident == incident_id("call-7", AS_OF)
    assert opened.severity.value == "high"


async def test_the_answer_names_the_incident_that_the_alarm_joined(run: Run, loop: Loop) -> None:
    name = loop.world.endpoint
    await run("alarm", name, "--as-of", MOMENT)
    opened = (await loop.remediation()).id.rsplit("/", 1)[1]
    ran = await run("alarm", name, "--as-of", MOMENT, "--json")
    shown = await run("alarm", name, "--as-of", MOMENT)
    assert (ran.data["fate"], ran.data["incident"]) == ("joined", opened)
    assert f"joined {name}/{opened}" in shown.out


async def test_an_alarm_is_kept_while_no_worker_runs(run: Run, temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    name = World().endpoint
    handle = await start_lifecycle(temporal_env.client, task_queue, name)
    ran = await run("alarm", name, "--id", "a-1", "--timeout", "1", "--json")
    signals = [e async for e in handle.fetch_history_events() if e.HasField("workflow_execution_signaled_event_attributes")]
    await handle.terminate("the test is over")
    assert ran.exit == 0
    assert ran.data["fate"] is None
    assert ran.data["reason"].startswith("kept; ")
    assert len(signals) == 1


async def test_an_unknown_endpoint_is_refused_with_the_ones_that_run(run: Run, loop: Loop) -> None:
    await run("alarm", loop.world.endpoint, "--as-of", MOMENT)
    ran = await run("alarm", f"{loop.world.endpoint}x", "--json")
    assert ran.exit == 4
    assert f"Running endpoints: {loop.world.endpoint}" in ran.data["error"]["message"]
    assert "apply" in ran.data["error"]["remedy"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("../bikes",), "ENDPOINT"),
        (("bikes", "--as-of", "2024-06-01T00:00:00"), "--as-of: '2024-06-01T00:00:00' has no time zone"),
        (("bikes", "--as-of", "yesterday"), "--as-of: 'yesterday' is no time"),
        (("bikes", "--metric", "accuracy"), "--metric"),
        (("bikes", "--metric", "accuracy=high"), "--metric"),
        (("bikes", "--metric", "accuracy=nan"), "--metric"),
        (("bikes", "--metric", "accuracy=1e999"), "--metric"),
        (("bikes", "--metric", "accuracy=1:"), "--metric"),
        (("bikes", "--id", ""), "--id"),
        (("bikes", "--message", "x" * 4001), "--message"),
        (("bikes", "--kind", "vibes"), "--kind"),
        (("bikes", "--timeout", "0"), "--timeout"),
        (("bikes", *["--metric", "a=1"] * 51), "--metric"),
    ],
)
async def test_bad_input_is_refused_and_names_the_argument(run: Run, words: tuple[str, ...], names: str) -> None:
    ran = await run("alarm", *words, "--json")
    assert ran.exit == 2
    assert names in ran.data["error"]["message"]
