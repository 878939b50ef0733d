"""A CloudWatch alarm of a deployed account goes through EventBridge and SQS into the bridge, and opens an incident."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from bridge.forward import Forwarder
from bridge.rejected import RejectedLog
from bridge.sqs import Consumers, Limits
from bridge.taking import Taking
from platforms.aws.calls import Aws
from runtime.settings import Settings
from runtime.wiring import alarm_intake_from
from tests.aws.simulator import Simulator
from tests.deploy.stacks import Stack, deployed
from tests.fakes import World
from tests.stories import running_loop, until


@pytest.fixture(scope="module")
def simulator(todays_simulator: Simulator) -> Simulator:
    return todays_simulator


@asynccontextmanager
async def bridge(stack: Stack, home: Path, client: Any) -> AsyncIterator[Consumers]:
    """As `python -m bridge --source sqs` has it, with the stack's own outputs."""
    settings = Settings(home=home, sqs_queue_url=stack.outputs["QueueUrl"], sqs_dead_letter_url=stack.outputs["DeadLetterUrl"])
    intake = alarm_intake_from(settings)
    consumers = Consumers(
        intake, Taking(Forwarder(client), reports=intake.reports), RejectedLog(home), Limits(consumers=1, wait_seconds=1)
    )
    stop = asyncio.Event()
    running = asyncio.create_task(consumers.run(stop))
    yield consumers
    stop.set()
    await running


def put_alarm(stack: Stack, what: str, endpoint: str, **tags: str) -> None:
    stack.aws.call(
        "cloudwatch",
        "put_metric_alarm",
        AlarmName=f"{stack.prefix}-{what}",
        Namespace=stack.prefix,
        MetricName=what,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}] if endpoint else [],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.2,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[stack.outputs["AlarmTopicArn"]],
        Tags=[{"Key": name.replace("_", ":"), "Value": value} for name, value in tags.items()],
    )


def put_data(stack: Stack, what: str, endpoint: str, value: float) -> None:
    data = [{"MetricName": what, "Value": value, "Dimensions": [{"Name": "EndpointName", "Value": endpoint}] if endpoint else []}]
    stack.aws.call("cloudwatch", "put_metric_data", Namespace=stack.prefix, MetricData=data)


async def test_an_alarm_opens_one_incident_though_it_comes_by_two_ways_and_its_end_is_told(
    temporal_env: WorkflowEnvironment, task_queue: str, aws: Aws, tmp_path: Path
) -> None:
    """By the rule and by the alarm's own action: the same transition, so the same alarm."""
    stack = await asyncio.to_thread(deployed, aws)
    world = World(training_holds=True)
    world.champion(quality=0.6)
    async with running_loop(temporal_env, world, task_queue) as loop, bridge(stack, tmp_path, loop.client) as consumers:
        put_alarm(stack, "drift", world.endpoint, homeostat_kind="data_drift")
        put_alarm(stack, "stray", "")
        put_data(stack, "drift", world.endpoint, 0.9)
        put_data(stack, "stray", "", 0.9)

        async def both_ways() -> bool:
            counts = (await loop.status()).state.counts
            return counts.get("opened", 0) == 1 and (await consumers.state())["rejected"] >= 2

        await until(both_ways, "the incident, and the stray alarm put aside by both ways")
        status = await loop.status()
        assert status.state.open is not None
        assert status.state.counts.get("joined", 0) == 0
        remediation = await loop.incident_status(await loop.remediation())
        assert remediation.alarms[0].startswith(f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{stack.prefix}-drift@")
        put_data(stack, "drift", world.endpoint, -9.0)

        async def ended() -> bool:
            return bool((await loop.status()).state.ended)

        await until(ended, "the end of the alarm")
        state = await consumers.state()
        assert (state["dead_letters"], state["waiting"]) == (2, 0)
        world.training_holds = False
        await loop.closed()
