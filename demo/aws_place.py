"""Where `make demo PLATFORM=aws-sim` lives: its own folder and ports, a simulated account, nothing shared with anything real."""

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from demo.data import FEATURES
from demo.place import Place, find_place
from runtime.local_run import BRIDGE_GRACE_SECONDS, SERVER, WORKER_GRACE_SECONDS, LocalRun
from runtime.process_group import Process
from runtime.readiness import free_port, http_ready
from runtime.settings import MAIN_QUEUE, TRAINING_QUEUE, Settings
from runtime.temporal_readiness import queue_ready

FLEET_FILE = Path(__file__).with_name("aws_fleet.yaml")
REGION = "eu-west-1"
DATA_BUCKET, GROUP, STACK, NAMESPACE = "city-bikes-data", "bikes", "homeostat", "CityBikes"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/homeostat:1"
COLUMNS = ("hour_of_day", *FEATURES[1:])
"""The features by the names that they have in the feature group, whose own partitions are called year, month, day and hour."""
SPEED = 60.0
"""So many seconds of the simulated account pass in one."""
SIMULATOR = "aws-simulator"
SOURCES = ("--source", "http,sqs")


@dataclass(frozen=True)
class AwsPlace:
    """One run's folder, addresses and account."""

    base: Place
    simulator_port: int

    @property
    def home(self) -> Path:
        return self.base.home

    @property
    def settings(self) -> Settings:
        return self.base.settings

    @property
    def account(self) -> dict[str, str]:
        """How botocore finds the simulated account."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.simulator_port}",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "simulated",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def environment(self, outputs: dict[str, str]) -> dict[str, str | None]:
        """What every process of homeostat reads; `outputs` are the stack's."""
        foreign: dict[str, str | None] = {name: None for name in os.environ if name.startswith("AWS_")}
        return {
            **self.base.environment,
            **foreign,
            **self.account,
            "HOMEOSTAT_PLATFORM": "aws",
            "HOMEOSTAT_FLEET": str(FLEET_FILE),
            "HOMEOSTAT_AWS_BUCKET": outputs["BucketName"],
            "HOMEOSTAT_AWS_KMS_KEY": outputs["KeyArn"],
            "HOMEOSTAT_AWS_ROLE": outputs["TrainingRoleArn"],
            "HOMEOSTAT_AWS_IMAGE": IMAGE,
            "HOMEOSTAT_AWS_POLL_SECONDS": "0.5",
            "HOMEOSTAT_AWS_CALLS_PER_SECOND": "50",
            "HOMEOSTAT_SQS_QUEUE_URL": outputs["QueueUrl"],
            "HOMEOSTAT_SQS_DEAD_LETTER_URL": outputs["DeadLetterUrl"],
        }

    def simulated(self) -> Process:
        """The account itself."""
        url = f"{self.account['AWS_ENDPOINT_URL']}/_sim/calls"
        argv = [sys.executable, "-m", "tests.aws", "--port", str(self.simulator_port), "--speed", str(SPEED)]
        return Process(SIMULATOR, [*argv, "--home", str(self.home / "aws")], ready=partial(http_ready, url))

    def processes(self, environment: dict[str, str | None]) -> list[Process]:
        """Temporal, the workers, the bridge with its queue: what runs beside AWS in production, too."""
        local = LocalRun(self.settings, FLEET_FILE, self.base.temporal).processes()
        server = next(each for each in local if each.name == SERVER)
        address, since, python = self.base.temporal, datetime.now(UTC), sys.executable
        main, training = (partial(queue_ready, address, queue, since) for queue in (MAIN_QUEUE, TRAINING_QUEUE))
        bridge = partial(http_ready, f"http://{self.settings.bridge_host}:{self.settings.bridge_port}/health")
        worker, grace = [python, "worker.py", "--queues"], WORKER_GRACE_SECONDS
        return [
            server,
            Process("worker", [*worker, "main"], environment, main, grace_seconds=grace),
            Process("worker-training", [*worker, "training"], environment, training, grace_seconds=grace),
            Process(
                "bridge",
                [python, "-m", "bridge", "--source", "http,sqs"],
                environment,
                bridge,
                grace_seconds=BRIDGE_GRACE_SECONDS,
            ),
        ]


def find_aws_place(var: Path) -> AwsPlace:
    """A run in `var`/demo-aws, on free ports."""
    return AwsPlace(find_place(var, "demo-aws"), free_port())
