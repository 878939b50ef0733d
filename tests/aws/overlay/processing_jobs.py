"""Processing jobs: what an image does is given by whoever simulates that image.

`PROCESSORS["the image's repository"] = function(world, job)` does the work of one: it reads and writes the simulator's S3 and
returns the ExitMessage, or raises Failed. An image that nobody simulates fails its job loudly.
"""

from collections.abc import Callable
from typing import Any

from tests.aws import bucket
from tests.aws.calls import Call, Refusal
from tests.aws.overlay.job_table import Failed, Job, arn, checked, checked_role, listed, page, there_is_input
from tests.aws.world import World

STARTING = 30.0


class ProcessingJob(Job):
    """One CreateProcessingJob, or an execution of a monitoring schedule."""

    def __init__(self, world: World, name: str, asked: dict[str, Any]) -> None:
        super().__init__(world, "processing", name, asked)
        self.exit_message: str | None = None

    def work(self) -> None:
        """Raises: Failed, Stopped."""
        self.pause(STARTING)
        self.start_watch()
        image = str(self.asked["AppSpecification"]["ImageUri"])
        process = PROCESSORS.get(image.rpartition("/")[2].partition(":")[0])
        if process is None:
            raise Failed(f"NotSimulated: nobody simulates the image {image}")
        self.exit_message = process(self.world, self)
        self.check()

    @property
    def environment(self) -> dict[str, str]:
        return self.asked.get("Environment") or {}

    def inputs(self) -> dict[str, dict[str, bytes]]:
        """The objects of each input, by its name."""
        found = self.asked.get("ProcessingInputs") or ()
        return {each["InputName"]: bucket.under(each["S3Input"]["S3Uri"]) for each in found}

    def outputs(self) -> dict[str, str]:
        """The uri of each output, by its name."""
        found = (self.asked.get("ProcessingOutputConfig") or {}).get("Outputs") or ()
        return {each["OutputName"]: each["S3Output"]["S3Uri"] for each in found}

    def described(self) -> dict[str, Any]:
        with self.world.lock:
            return {
                **{name: value for name, value in self.asked.items() if name != "Tags"},
                "ProcessingJobArn": self.arn,
                "ProcessingJobStatus": self.status,
                "CreationTime": self.created,
                "LastModifiedTime": self.changed,
                **({"ProcessingStartTime": self.began} if self.began else {}),
                **({"ProcessingEndTime": self.ended} if self.ended else {}),
                **({"FailureReason": self.failure} if self.failure else {}),
                **({"ExitMessage": self.exit_message} if self.exit_message else {}),
            }


PROCESSORS: dict[str, Callable[[World, ProcessingJob], str | None]] = {}
"""By the image's repository, the last part of its URI before the tag."""


def processing_jobs(world: World) -> dict[str, ProcessingJob]:
    found: dict[str, ProcessingJob] = world.__dict__.setdefault("sagemaker_processing_jobs", {})
    return found


def begin(world: World, name: str, asked: dict[str, Any]) -> ProcessingJob:
    """Start a job. Raises: Refusal."""
    jobs = processing_jobs(world)
    with world.lock:
        if name in jobs:  # github.com/aws/amazon-sagemaker-examples/issues/633: a name is taken for ever
            message = "Job name must be unique within an AWS account and region, and a job with this name already exists"
            raise Refusal("ResourceInUse", f"{message} ({arn('processing-job', name)})")
        job = jobs[name] = ProcessingJob(world, name, asked)
    job.begin(job.work)
    return job


def install(world: World) -> None:
    jobs = processing_jobs(world)

    @world.operation("sagemaker", "CreateProcessingJob")
    def create(call: Call) -> dict[str, Any]:
        name, role = checked(call, "ProcessingJobName"), checked_role(call.params.get("RoleArn"))
        for each in call.params.get("ProcessingInputs") or ():
            if each.get("S3Input"):
                there_is_input(each["S3Input"]["S3Uri"], role)
        return {"ProcessingJobArn": begin(world, name, call.params).arn}

    def found(call: Call) -> ProcessingJob:
        name = checked(call, "ProcessingJobName")
        if name not in jobs:
            raise Refusal("ValidationException", f"Could not find requested job with name: {name}")
        return jobs[name]

    @world.operation("sagemaker", "DescribeProcessingJob")
    def describe(call: Call) -> dict[str, Any]:
        return found(call).described()

    @world.operation("sagemaker", "StopProcessingJob")
    def stop(call: Call) -> None:
        found(call).stop()

    @world.operation("sagemaker", "ListProcessingJobs")
    def listing(call: Call) -> dict[str, Any]:
        rows = [
            {
                "ProcessingJobName": job.name,
                "ProcessingJobArn": job.arn,
                "CreationTime": job.created,
                "LastModifiedTime": job.changed,
                "ProcessingJobStatus": job.status,
            }
            for job in listed(call, list(jobs.values()))
        ]
        return page(call, rows, "ProcessingJobSummaries")
