"""`python -m bridge --source sqs` as people run it: a real process, SQS over HTTP, a real Temporal."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from platforms.aws.calls import Aws
from platforms.aws.monitor_reports import SageMakerMonitorReports
from platforms.aws.objects import Objects
from platforms.aws.queue import SqsQueue
from platforms.errors import Invalid, NotFound, Unavailable
from tests.aws.simulator import Simulator
from tests.bridge.aws_bodies import alarm_event, through_sns

Listening = Callable[[int], Any]


@pytest.fixture
def queues(aws: Aws) -> tuple[SqsQueue, SqsQueue]:
    sqs = aws.client("sqs")
    urls = [sqs.create_queue(QueueName=f"{aws.settings.prefix}{end}")["QueueUrl"] for end in ("", "-dead")]
    first, second = (SqsQueue(aws, url) for url in urls)
    return first, second


def test_a_queue_hands_out_again_what_is_given_back_and_not_what_is_acknowledged(queues: tuple[SqsQueue, SqsQueue]) -> None:
    queue, _ = queues
    queue.send("body", {"reason": "x" * 3000, "empty": ""})
    (first,) = queue.receive(most=10, wait_seconds=0, hold_seconds=60)
    assert (first.body, first.receives, first.attributes) == ("body", 1, {"reason": "x" * 2000})
    assert queue.receive(most=10, wait_seconds=0, hold_seconds=60) == []
    assert (queue.state().waiting, queue.state().in_hand) == (0, 1)
    queue.hold(first, 0)
    (again,) = queue.receive(most=10, wait_seconds=0, hold_seconds=60)
    assert (again.id, again.receives) == (first.id, 2)
    queue.acknowledge([again])
    queue.acknowledge([])
    assert queue.state().waiting == queue.state().in_hand == 0


def test_a_queue_that_isnt_there_is_named(aws: Aws, simulator: Simulator) -> None:
    with pytest.raises(NotFound, match="sqs receive_message"):
        SqsQueue(aws, f"{simulator.url}/123456789012/none").receive(most=1, wait_seconds=0, hold_seconds=1)


JOB = {
    "ProcessingJobArn": "arn",
    "ExitMessage": "CompletedWithViolations: Job completed successfully with 1 violations.",
    "Environment": {"sagemaker_endpoint_name": "bikes", "sagemaker_monitoring_schedule_name": "hourly"},
}


class Told(Aws):
    """One job, as the service would tell of it."""

    def __init__(self, aws: Aws, job: dict[str, Any]) -> None:
        self.__dict__.update(aws.__dict__)
        self._job = job

    def call(self, service: str, operation: str, **asked: Any) -> dict[str, Any]:
        return self._job if operation == "describe_processing_job" else super().call(service, operation, **asked)


@pytest.mark.parametrize("spelling", ["constraint_violations.json", "constraints_violations.json"])
def test_violations_are_read_from_the_folder_that_the_job_names_in_either_spelling(
    objects: Objects, aws: Aws, spelling: str
) -> None:
    output = {"Outputs": [{"S3Output": {"S3Uri": f"{objects.uri('monitored')}/"}}]}
    reports = SageMakerMonitorReports(Told(aws, {**JOB, "ProcessingOutputConfig": output}))
    with pytest.raises(NotFound, match="tells of violations, but"):
        reports.report("job")
    objects.put(f"monitored/{spelling}", b'{"violations": "none"')
    with pytest.raises(Invalid, match="no JSON"):
        reports.report("job")
    violations = [
        {"feature_name": "hour", "constraint_check_type": "baseline_drift_check", "description": "d"},
        {"facet": "age", "facet_value": "30", "metric_name": "DPL", "constraint_check_type": "bias_drift_check"},
        "text",
    ]
    objects.put(f"monitored/{spelling}", json.dumps({"violations": violations}).encode())
    found = reports.report("job")
    assert (found.endpoint, found.schedule) == ("bikes", "hourly")
    assert [(v.check, v.feature) for v in found.violations] == [
        ("baseline_drift_check", "hour"),
        ("bias_drift_check", "DPL of age=30"),
    ]


def test_a_job_that_found_no_violations_needs_no_file(aws: Aws) -> None:
    message = "Completed: Job completed successfully with no violations."
    report = SageMakerMonitorReports(Told(aws, {**JOB, "ExitMessage": message})).report("job")
    assert (report.violations, report.exit_message) == ((), message)


def test_a_job_without_a_schedule_is_no_monitoring_job(aws: Aws) -> None:
    with pytest.raises(NotFound, match="is no monitoring job"):
        SageMakerMonitorReports(Told(aws, {"ProcessingJobArn": "arn"})).report("job")


@asynccontextmanager
async def bridge(home: Path, queue: SqsQueue, dead: SqsQueue, client: Client) -> AsyncIterator[httpx.AsyncClient]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", "--source", "sqs", stderr=PIPE, env=variables(home, queue, dead, client)
    )
    assert process.stderr
    try:
        url = json.loads(await asyncio.wait_for(process.stderr.readline(), 60))["url"]
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            yield http
    finally:
        process.terminate()
        await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0


def variables(home: Path, queue: SqsQueue, dead: SqsQueue, client: Client) -> dict[str, str]:
    return {
        **os.environ,
        "HOMEOSTAT_HOME": str(home),
        "HOMEOSTAT_BRIDGE_PORT": "0",
        "HOMEOSTAT_SQS_QUEUE_URL": queue.url,
        "HOMEOSTAT_SQS_DEAD_LETTER_URL": dead.url,
        "HOMEOSTAT_SQS_WAIT_SECONDS": "1",
        "TEMPORAL_ADDRESS": client.service_client.config.target_host,
    }


@pytest.mark.processes
async def test_alarms_go_from_the_queue_to_the_lifecycle_poison_aside_and_back_by_redrive(
    tmp_path: Path, client: Client, listening: Listening, queues: tuple[SqsQueue, SqsQueue]
) -> None:
    queue, dead = queues
    endpoint = await listening(2)
    tags = {"homeostat:endpoint": endpoint.name}
    async with bridge(tmp_path, queue, dead, client) as http:
        for body in (
            json.dumps(alarm_event(alarmTags=tags)),
            "not json",
            json.dumps(through_sns(alarm_event("b", alarmTags=tags))),
        ):
            queue.send(body, {})
        assert {alarm["endpoint"] for alarm in await endpoint.heard()} == {endpoint.name}
        async with asyncio.timeout(60):
            while (state := (await http.get("/health")).json()["queue"])["taken"] < 3:  # noqa: ASYNC110 - another process works
                await asyncio.sleep(0.1)
        assert (state["rejected"], state["dead_letters"], state["waiting"]) == (1, 1, 0)
        assert (await http.post("/alarms", json={})).status_code == 404, "posts are not asked for"
        assert 'homeostat_bridge_alarms_total{source="sqs",result="accepted"} 2' in (await http.get("/metrics")).text
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", "redrive", stdout=PIPE, env=variables(tmp_path, queue, dead, client)
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert "1 messages went back to the queue" in out.decode()
    assert (queue.state().waiting, dead.state().waiting) == (1, 0)


@pytest.mark.parametrize("kind", ["throttle", "expired_credentials", "timeout_after"])
def test_what_passes_is_to_be_tried_again(queues: tuple[SqsQueue, SqsQueue], simulator: Simulator, kind: str) -> None:
    simulator.fault("sqs", "SendMessage", kind)
    with pytest.raises(Unavailable, match="sqs send_message"):
        queues[0].send("body", {})
