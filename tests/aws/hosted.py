"""Models that say a word, endpoints that serve them, and what happens to these endpoints: for tests of SageMaker hosting."""

import io
import json
import tarfile
import time
from collections.abc import Callable
from typing import Any

from platforms.aws.calls import Answer, Aws
from platforms.aws.names import name_of
from platforms.aws.objects import Objects
from platforms.aws.packaging import archive
from platforms.errors import PlatformError
from tests.aws.fixtures import IMAGE, ROLE

_SAYS = """
import pathlib

def model_fn(folder):
    word = (pathlib.Path(folder) / "word").read_text()
    if word == "broken":
        raise ValueError("this model can't be read")
    return word

def input_fn(body, kind):
    return body

def predict_fn(asked, word):
    if "fail" in asked:
        raise ValueError("asked to fail")
    return word

def output_fn(said, accept):
    return '{"word": "%s"}' % said, accept
"""


class Hosted:
    """Everything of one endpoint, by names of its own."""

    def __init__(self, aws: Aws, objects: Objects, name: str) -> None:
        self.aws = aws
        self._objects = objects
        self.name = f"{aws.settings.endpoint_prefix}{name}"

    def named(self, what: str, word: str) -> str:
        return name_of(self.aws.settings.prefix, self.name[-20:], what, word)

    def model(self, word: str) -> str:
        source = self._objects.put("container/says.tar.gz", archive({"serve.py": _SAYS.encode()}))
        data = self._objects.put(f"models/{word}.tar.gz", _packed("word", word.encode()))
        environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": source}
        container = {"Image": IMAGE, "ModelDataUrl": data, "Environment": environment}
        name = self.named("model", word)
        self.aws.call("sagemaker", "create_model", ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
        return name

    def config(self, word: str, count: int = 2, **other: Any) -> str:
        variant = {"VariantName": "AllTraffic", "ModelName": self.model(word), "InitialInstanceCount": count}
        variant |= {"InstanceType": "ml.m5.large", "InitialVariantWeight": 1.0}
        name = self.named("config", word)
        self.aws.call("sagemaker", "create_endpoint_config", EndpointConfigName=name, ProductionVariants=[variant], **other)
        return name

    def create(self, word: str, count: int = 2, **other: Any) -> None:
        """In service when it returns."""
        config = self.config(word, count, **other)
        self.aws.call("sagemaker", "create_endpoint", EndpointName=self.name, EndpointConfigName=config)
        self.rests()

    def update(self, word: str, *, deployment: dict[str, Any] | None = None, made: bool = False, **other: Any) -> str:
        config = self.named("config", word) if made else self.config(word)
        how = {"DeploymentConfig": deployment} if deployment else {}
        self.aws.call("sagemaker", "update_endpoint", EndpointName=self.name, EndpointConfigName=config, **how, **other)
        return config

    def told(self) -> Answer:
        return self.aws.call("sagemaker", "describe_endpoint", EndpointName=self.name)

    def rests(self) -> Answer:
        """Once nothing happens to it."""
        busy = {"Creating", "Updating", "RollingBack"}
        until(lambda: self.told()["EndpointStatus"] not in busy)
        return self.told()

    def says(self, asked: str = "{}") -> str:
        answer = self.aws.call("sagemaker-runtime", "invoke_endpoint", EndpointName=self.name, Body=asked.encode())
        return str(json.loads(answer["Body"].read())["word"])

    def refuses(self, asked: str) -> str:
        try:
            self.says(asked)
        except PlatformError as error:
            return str(error)
        raise AssertionError("it answered")


def until(there: Callable[[], bool], seconds: float = 60) -> None:
    """Looks a few times a second: each look is a call that costs both sides."""
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.15)


def alarm(aws: Aws, name: str, state: str = "OK", **other: Any) -> str:
    """A CloudWatch alarm in this state."""
    full = f"{aws.settings.prefix}-{name}"
    asked = {"Namespace": "Test", "MetricName": "none", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1}
    asked |= {"Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "ignore"}
    aws.call("cloudwatch", "put_metric_alarm", AlarmName=full, **asked, **other)
    becomes(aws, full, state)
    return full


def becomes(aws: Aws, alarm_name: str, state: str) -> None:
    aws.call("cloudwatch", "set_alarm_state", AlarmName=alarm_name, StateValue=state, StateReason="the test says so")


def blue_green(
    kind: str = "ALL_AT_ONCE", *, wait: int = 0, end: int = 0, size: int = 50, alarms: tuple[str, ...] = ()
) -> dict[str, Any]:
    routing: dict[str, Any] = {"Type": kind, "WaitIntervalInSeconds": wait}
    if kind != "ALL_AT_ONCE":
        routing["CanarySize" if kind == "CANARY" else "LinearStepSize"] = {"Type": "CAPACITY_PERCENT", "Value": size}
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": end, "MaximumExecutionTimeoutInSeconds": 28_000}
    return {"BlueGreenUpdatePolicy": policy, **guarded(alarms)}


def guarded(alarms: tuple[str, ...]) -> dict[str, Any]:
    return {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}} if alarms else {}


def _packed(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()
