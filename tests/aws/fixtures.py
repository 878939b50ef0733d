"""One simulator for a test session; each test has a bucket and a prefix of its own in it."""

import os
from collections.abc import Iterator
from functools import cache
from secrets import token_hex
from typing import Any

import boto3
import pytest

from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.aws.settings import AwsSettings
from tests.aws.simulator import Simulator

ROLE = "arn:aws:iam::123456789012:role/homeostat-training"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/homeostat:1"
SPEED = 120.0


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator.start(tmp_path_factory.mktemp("simulator"), SPEED)
    yield simulator
    simulator.stop()


@pytest.fixture(scope="module")
def todays_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One of its own, whose clock has not run ahead yet: the session's is days ahead after some minutes, and alarms from the
    future are refused.
    """
    simulator = Simulator.start(tmp_path_factory.mktemp("simulator"), SPEED)
    yield simulator
    simulator.stop()


class _Clients(boto3.session.Session):
    """Makes each client once: reading SageMaker's service model takes longer than most tests."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, Any] = {}

    def client(self, service_name: str, **how: Any) -> Any:
        if service_name not in self._made:
            self._made[service_name] = super().client(service_name, **how)
        return self._made[service_name]


@cache
def _session(url: str) -> boto3.session.Session:
    """`url` keeps simulators apart."""
    return _Clients()


@pytest.fixture
def simulated(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The environment points to the simulator; what was armed in it is disarmed at the end."""
    for name, value in simulator.environment.items():
        monkeypatch.setenv(name, value)
    yield simulator
    simulator.reset()


@pytest.fixture
def aws(simulated: Simulator) -> Aws:
    """An account with a fresh bucket and a fresh prefix."""
    return new_account()


def new_account(**other: object) -> Aws:
    """In the simulator that the environment points to."""
    mark = token_hex(4)
    given = {
        "bucket": f"bucket-{mark}",
        "prefix": f"t-{mark}",
        "endpoint_prefix": f"t-{mark}-",
        "feature_group_prefix": f"t-{mark}-",
        "role": ROLE,
        "image": IMAGE,
        "poll_seconds": 0.05,
        "calls_per_second": 1000.0,
    }
    aws = Aws(AwsSettings.model_validate(given | other), _session(os.environ["AWS_ENDPOINT_URL"]))
    aws.client("s3").create_bucket(Bucket=aws.settings.bucket, CreateBucketConfiguration={"LocationConstraint": aws.region})
    aws.client("s3").put_bucket_versioning(Bucket=aws.settings.bucket, VersioningConfiguration={"Status": "Enabled"})
    return aws


@pytest.fixture
def objects(aws: Aws) -> Objects:
    return Objects(aws)
