"""Batch transform that really transforms: the model's container serves, and the lines of its input go through it.

Source: docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html: records are split by line and put together up to the
payload's limit; what comes back for an input lies beside its name with `.out`.
"""

from pathlib import Path
from typing import Any

import httpx

from tests.aws import bucket
from tests.aws.calls import Call, Refusal
from tests.aws.containers import Container, NotRunnable, unpack
from tests.aws.overlay.job_table import Failed, Job, arn, checked, listed, page, there_is_input
from tests.aws.overlay.models import Model, models
from tests.aws.overlay.training_jobs import CAPACITY
from tests.aws.world import World

STARTING = 30.0
_MEGABYTE = 1 << 20


class TransformJob(Job):
    """One CreateTransformJob."""

    def __init__(self, world: World, name: str, asked: dict[str, Any], model: Model) -> None:
        super().__init__(world, "transform", name, asked)
        self.model = model

    def work(self) -> None:
        """Raises: Failed, Stopped."""
        self.pause(STARTING)
        if self.world.faults.struck("sagemaker", "CreateTransformJob", ("capacity",)):
            raise Failed(CAPACITY)
        container = served(self.world, self.model, self.root, self.asked.get("Environment") or {})
        self.start_watch()
        try:
            source = str(self.asked["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"])
            for path, content in bucket.under(source).items():
                answer = self._transformed(container.url, content)
                bucket.write(f"{self.asked['TransformOutput']['S3OutputPath'].rstrip('/')}/{path}.out", answer)
        finally:
            container.kill()

    def _transformed(self, url: str, content: bytes) -> bytes:
        """Raises: Failed, Stopped."""
        answers: list[bytes] = []
        for batch in self._batches(content):
            self.check()
            kind = self.asked["TransformInput"].get("ContentType") or "application/octet-stream"
            accept = self.asked["TransformOutput"].get("Accept") or kind
            said = httpx.post(f"{url}/invocations", content=batch, headers={"content-type": kind, "accept": accept}, timeout=300)
            if said.status_code != 200:
                raise Failed(
                    f"AlgorithmError: {arn('model', self.model.name)}: the container answered {said.status_code}: {said.text[:300]}"
                )
            answers.append(said.content)
        together = b"\n" if self.asked["TransformOutput"].get("AssembleWith") == "Line" else b""
        return together.join(answers) + together

    def _batches(self, content: bytes) -> list[bytes]:
        if self.asked["TransformInput"].get("SplitType") != "Line":
            return [content]
        lines = content.splitlines()
        if self.asked.get("BatchStrategy") != "MultiRecord":
            return lines
        most, batches, size = (self.asked.get("MaxPayloadInMB") or 6) * _MEGABYTE, [[]], 0
        for line in lines:
            if batches[-1] and size + len(line) + 1 > most:
                batches.append([])
                size = 0
            batches[-1].append(line)
            size += len(line) + 1
        return [b"\n".join(batch) for batch in batches]

    def described(self) -> dict[str, Any]:
        with self.world.lock:
            return {
                **{name: value for name, value in self.asked.items() if name != "Tags"},
                "TransformJobArn": self.arn,
                "TransformJobStatus": self.status,
                "CreationTime": self.created,
                **({"TransformStartTime": self.began} if self.began else {}),
                **({"TransformEndTime": self.ended} if self.ended else {}),
                **({"FailureReason": self.failure} if self.failure else {}),
            }


class Served:
    """A container that answers at `url`."""

    def __init__(self, container: Container, url: str) -> None:
        self.container = container
        self.url = url

    @property
    def alive(self) -> bool:
        return self.container.exit_code is None

    def kill(self) -> None:
        self.container.kill()


def served(world: World, model: Model, root: Path, environment: dict[str, str]) -> Served:
    """The model's container, serving. Raises: Failed (it can't be run, or its health check fails)."""
    environment = {**model.environment, **environment}
    try:
        container = Container(world, root, environment.get("SAGEMAKER_SUBMIT_DIRECTORY"), environment.get("SAGEMAKER_PROGRAM"))
        data = bucket.read(str(model.container["ModelDataUrl"]))
        if data is None:
            raise Failed(f"ClientError: the model's data {model.container['ModelDataUrl']} is gone")
        unpack(data, root / "model")
        return Served(container, container.serve(environment))
    except NotRunnable as error:
        raise Failed(f"AlgorithmError: {error}") from None


def install(world: World) -> None:
    jobs: dict[str, TransformJob] = {}

    @world.operation("sagemaker", "CreateTransformJob")
    def create(call: Call) -> dict[str, Any]:
        name = checked(call, "TransformJobName")
        model = models(world).get(str(call.params["ModelName"]))
        if model is None:
            raise Refusal("ValidationException", f'Could not find model "{arn("model", str(call.params["ModelName"]))}".')
        there_is_input(call.params["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"], model.asked["ExecutionRoleArn"])
        with world.lock:
            if name in jobs:  # github.com/aws/amazon-sagemaker-examples/issues/633: a name is taken for ever
                message = "Job name must be unique within an AWS account and region, and a job with this name already exists"
                raise Refusal("ResourceInUse", f"{message} ({arn('transform-job', name)})")
            job = jobs[name] = TransformJob(world, name, call.params, model)
        job.begin(job.work)
        return {"TransformJobArn": job.arn}

    def found(call: Call) -> TransformJob:
        name = checked(call, "TransformJobName")
        if name not in jobs:
            raise Refusal("ValidationException", f"Could not find requested job with name: {name}")
        return jobs[name]

    @world.operation("sagemaker", "DescribeTransformJob")
    def describe(call: Call) -> dict[str, Any]:
        return found(call).described()

    @world.operation("sagemaker", "StopTransformJob")
    def stop(call: Call) -> None:
        found(call).stop()

    @world.operation("sagemaker", "ListTransformJobs")
    def listing(call: Call) -> dict[str, Any]:
        rows = [
            {
                "TransformJobName": job.name,
                "TransformJobArn": job.arn,
                "CreationTime": job.created,
                "LastModifiedTime": job.changed,
                "TransformJobStatus": job.status,
            }
            for job in listed(call, list(jobs.values()))
        ]
        return page(call, rows, "TransformJobSummaries")
