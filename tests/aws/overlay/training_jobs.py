"""Training jobs that really train: channels and source come from the simulator's S3, the entry point runs as a process."""

import json
import math
import shutil
import time
from typing import Any

from tests.aws import bucket
from tests.aws.calls import Call, Refusal
from tests.aws.containers import Container, NotRunnable, packed, put
from tests.aws.overlay.job_table import Failed, Job, Stopped, arn, checked, checked_role, listed, page, there_is_input
from tests.aws.world import World

STARTING, UPLOADING = 20.0, 5.0
GRACE = 120.0
"""Seconds between SIGTERM and the end: docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html."""
SPOT = 0.3
"""Share of the time that a spot job is billed for."""
CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type or after "
    "some time."
)
"""Source: github.com/DIAGNijmegen/rse-grand-challenge/issues/2631."""


class TrainingJob(Job):
    """One CreateTrainingJob."""

    def __init__(self, world: World, name: str, asked: dict[str, Any]) -> None:
        super().__init__(world, "training", name, asked)
        self.training_seconds = 0.0
        self.interruptions = 0
        output = str(asked["OutputDataConfig"]["S3OutputPath"]).rstrip("/")
        self.output = f"{output}/{name}/output"

    def work(self) -> None:
        """Raises: Failed, Stopped."""
        self.pause(STARTING)
        if self.world.faults.struck("sagemaker", "CreateTrainingJob", ("capacity",)):
            self._no_machine()
        self.note("Downloading", "Downloading input data")
        container = self._container()
        while not self._ran(container):
            self.interruptions += 1
            self.note("Interrupted", "Training job interrupted: the Spot instances were reclaimed")
            self._keep_checkpoints()
            self.pause(STARTING)
            self.note("Starting", "Preparing the instances again")
            shutil.rmtree(self.root)
            container = self._container()
        self._upload()

    def _no_machine(self) -> None:
        """A spot job waits until its time is up: docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html.

        Raises: Failed, Stopped.
        """
        if not self.asked.get("EnableManagedSpotTraining"):
            raise Failed(CAPACITY)
        self.pause(self._condition["MaxWaitTimeInSeconds"])
        raise Stopped("MaxWaitTimeExceeded")

    def _container(self) -> Container:
        """Raises: Failed."""
        given = self.asked.get("HyperParameters") or {}
        try:
            container = Container(
                self.world, self.root, _json(given.get("sagemaker_submit_directory")), _json(given.get("sagemaker_program"))
            )
        except NotRunnable as error:
            raise Failed(f"AlgorithmError: {error}") from None
        container.config("hyperparameters.json", given)
        container.config("resourceconfig.json", {"current_host": "algo-1", "hosts": ["algo-1"]})
        container.config("inputdataconfig.json", {c["ChannelName"]: {"TrainingInputMode": "File"} for c in self._channels})
        for channel in self._channels:
            container.channel(channel["ChannelName"], bucket.under(channel["DataSource"]["S3DataSource"]["S3Uri"]))
        if self._checkpoints:
            (self.root / "checkpoints").mkdir()
            for path, content in bucket.under(f"{self._checkpoints.rstrip('/')}/").items():
                put(self.root / "checkpoints" / path, content)
        return container

    def _ran(self, container: Container) -> bool:
        """Run the entry point to its end; False where the instance was taken away. Raises: Failed, Stopped."""
        self.note("Training", "Training image download completed. Training in progress.")
        self.start_watch()
        container.train(self.asked.get("Environment") or {})
        spot, before = bool(self.asked.get("EnableManagedSpotTraining")), self.training_seconds
        while container.exit_code is None:
            self.training_seconds = before + self.elapsed
            if self.stop_asked.is_set():
                self._terminate(container)
                raise Stopped("Stopped")
            if self.training_seconds > self._condition["MaxRuntimeInSeconds"]:
                self.status = "Stopping"
                self.note("MaxRuntimeExceeded", "Training job runtime exceeded MaxRuntimeInSeconds provided")
                self._terminate(container)
                raise Stopped("MaxRuntimeExceeded")
            if spot and self._interrupted():
                container.kill()
                return False
            time.sleep(0.02)
        self.training_seconds = before + self.elapsed
        if container.exit_code:
            raise Failed(self._reason(container))
        return True

    def _interrupted(self) -> bool:
        """A reclaimed instance; where checkpoints are kept, once there is one, so that there is something to go on from."""
        kept = list((self.root / "checkpoints").rglob("*.json")) if self._checkpoints else [self.root]
        return bool(kept) and self.world.faults.struck("sagemaker", "CreateTrainingJob", ("spot_interruption",)) is not None

    def _terminate(self, container: Container) -> None:
        container.term()
        until = time.monotonic() + GRACE / self.world.speed
        while container.exit_code is None and time.monotonic() < until:
            time.sleep(0.02)
        container.kill()
        self._keep_checkpoints()

    def _reason(self, container: Container) -> str:
        """What the training toolkit makes of an exit code: it writes over a script's own failure file with this.

        Source: github.com/aws/sagemaker-training-toolkit errors.py, trainer.py (ExecuteUserScriptError; capture_error is off).
        """
        code = container.exit_code
        killed = ". Process killed by SIGKILL (signal 9)" if code in (-9, 137) else ""
        return f'AlgorithmError: ExecuteUserScriptError:\nExitCode {code}{killed}\nErrorMessage ""\nCommand "{container.program}"'

    def _keep_checkpoints(self) -> None:
        folder = self.root / "checkpoints"
        if self._checkpoints and folder.is_dir():
            for path in folder.rglob("*"):
                if path.is_file():
                    bucket.write(f"{self._checkpoints.rstrip('/')}/{path.relative_to(folder)}", path.read_bytes())

    def _upload(self) -> None:
        self.note("Uploading", "Uploading generated training model")
        self.pause(UPLOADING)
        bucket.write(f"{self.output}/model.tar.gz", packed(self.root / "model"))
        bucket.write(f"{self.output}/output.tar.gz", packed(self.root / "output" / "data"))
        self._keep_checkpoints()

    @property
    def _channels(self) -> list[dict[str, Any]]:
        return self.asked.get("InputDataConfig") or []

    @property
    def _checkpoints(self) -> str | None:
        found = self.asked.get("CheckpointConfig")
        return str(found["S3Uri"]) if found else None

    @property
    def _condition(self) -> dict[str, int]:
        return {"MaxRuntimeInSeconds": 86400, **(self.asked.get("StoppingCondition") or {})}

    def described(self) -> dict[str, Any]:
        with self.world.lock:
            seconds = max(1, math.ceil(self.training_seconds)) if self.began else 0
            spot = bool(self.asked.get("EnableManagedSpotTraining"))
            return {
                **{name: value for name, value in self.asked.items() if name != "Tags"},
                "TrainingJobArn": self.arn,
                "ModelArtifacts": {"S3ModelArtifacts": f"{self.output}/model.tar.gz"},
                "TrainingJobStatus": self.status,
                "SecondaryStatus": self.secondary,
                "SecondaryStatusTransitions": [dict(each) for each in self.transitions],
                "CreationTime": self.created,
                "LastModifiedTime": self.changed,
                **({"TrainingStartTime": self.began} if self.began else {}),
                **({"TrainingEndTime": self.ended} if self.ended else {}),
                **({"FailureReason": self.failure} if self.failure else {}),
                "TrainingTimeInSeconds": seconds,
                "BillableTimeInSeconds": math.ceil(seconds * SPOT) if spot else seconds,
            }


def _json(given: str | None) -> str | None:
    """Hyperparameters of script mode are JSON texts."""
    return None if given is None else str(json.loads(given))


def _checked_condition(asked: dict[str, Any]) -> None:
    """Source: docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html (MaxWaitTimeInSeconds)."""
    condition = asked.get("StoppingCondition") or {}
    wait, runtime = condition.get("MaxWaitTimeInSeconds"), condition.get("MaxRuntimeInSeconds", 86400)
    if asked.get("EnableManagedSpotTraining"):
        if wait is None or wait < runtime:
            message = "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
            raise Refusal("ValidationException", message)
    elif wait is not None:
        message = "MaxWaitTimeInSeconds above 0 is only allowed for training jobs with EnableManagedSpotTraining"
        raise Refusal("ValidationException", message)


def install(world: World) -> None:
    jobs: dict[str, TrainingJob] = {}

    @world.operation("sagemaker", "CreateTrainingJob")
    def create(call: Call) -> dict[str, Any]:
        name, role = checked(call, "TrainingJobName"), checked_role(call.params.get("RoleArn"))
        _checked_condition(call.params)
        for channel in call.params.get("InputDataConfig") or ():
            there_is_input(channel["DataSource"]["S3DataSource"]["S3Uri"], role)
        with world.lock:
            if name in jobs:  # github.com/aws/amazon-sagemaker-examples/pull/3108; never deleted: /issues/633
                message = "Training job names must be unique within an AWS account and region, and a training job with this name"
                raise Refusal("ResourceInUse", f"{message} already exists ({arn('training-job', name)})")
            job = jobs[name] = TrainingJob(world, name, call.params)
        job.begin(job.work)
        return {"TrainingJobArn": job.arn}

    def found(call: Call) -> TrainingJob:
        name = checked(call, "TrainingJobName")
        if name not in jobs:  # the text that Airflow's and the SDK's code look for: "Requested resource not found."
            raise Refusal("ValidationException", "Requested resource not found.")
        return jobs[name]

    @world.operation("sagemaker", "DescribeTrainingJob")
    def describe(call: Call) -> dict[str, Any]:
        return found(call).described()

    @world.operation("sagemaker", "StopTrainingJob")
    def stop(call: Call) -> None:
        found(call).stop()

    @world.operation("sagemaker", "ListTrainingJobs")
    def listing(call: Call) -> dict[str, Any]:
        chosen = listed(call, list(jobs.values()))
        rows = [
            {
                "TrainingJobName": job.name,
                "TrainingJobArn": job.arn,
                "CreationTime": job.created,
                "LastModifiedTime": job.changed,
                "TrainingJobStatus": job.status,
            }
            for job in chosen
        ]
        return page(call, rows, "TrainingJobSummaries")
