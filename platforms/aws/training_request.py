"""What is asked of SageMaker for one training job, and what its answer says."""

import io
import tarfile
from json import dumps
from typing import Any, Final

from pydantic import ValidationError

from contracts.training import Challenger, JobPhase, JobState, TrainChallenger
from platforms.aws.container.layout import RESULT, TrainingResult
from platforms.aws.names import tags_of
from platforms.aws.objects import Objects
from platforms.aws.packaging import Package
from platforms.errors import Corrupt

_CAPACITY: Final = ("CapacityError", "Unable to provision", "insufficient capacity", "Insufficient capacity")
_THEIR_FAULT: Final = ("InternalServerError", "InternalError", "InternalFailure")
_OUT_OF_MEMORY: Final = ("SIGKILL", "OutOfMemory", "ExitCode 137", "exit code: 137")


def job_folder(mark: str) -> str:
    """Everything that one key left in the bucket."""
    return f"jobs/{mark}"


def training_request(
    job: TrainChallenger, name: str, instance_type: str, *, mark: str, role: str, kms_key: str, objects: Objects, package: Package
) -> dict[str, Any]:
    """CreateTrainingJob's parameters."""
    folder, compute = objects.uri(job_folder(mark)), job.compute
    runtime = max(1, int(job.max_runtime.total_seconds()))
    wait = compute.longest_wait(job.max_runtime)
    asked: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": role,
        "AlgorithmSpecification": {"TrainingImage": package.image("training", instance_type), "TrainingInputMode": "File"},
        "HyperParameters": {**package.hyperparameters(), "homeostat_key": dumps(job.key)},
        "InputDataConfig": [
            _channel("job", f"{folder}/job.json"),
            _channel("dataset", f"{job.dataset.uri.rpartition('/')[0]}/"),
        ],
        "OutputDataConfig": {"S3OutputPath": f"{folder}/output"} | ({"KmsKeyId": kms_key} if kms_key else {}),
        "ResourceConfig": {"InstanceType": instance_type, "InstanceCount": 1, "VolumeSizeInGB": compute.volume_gb}
        | ({"VolumeKmsKeyId": kms_key} if kms_key else {}),
        "StoppingCondition": {"MaxRuntimeInSeconds": runtime}
        | ({"MaxWaitTimeInSeconds": max(runtime, int(wait.total_seconds()))} if compute.spot else {}),
        "EnableManagedSpotTraining": compute.spot,
        "Tags": [{"Key": tag, "Value": value} for tag, value in tags_of(job.tags, job.key).items()],
    }
    if compute.checkpoints:
        asked["CheckpointConfig"] = {"S3Uri": f"{folder}/checkpoints"}
    return asked


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


class Attempt:
    """One SageMaker job of a key, as DescribeTrainingJob tells it."""

    def __init__(self, described: dict[str, Any]) -> None:
        self._told = described
        self.name = str(described["TrainingJobName"])
        self.status = str(described["TrainingJobStatus"])
        self.secondary = str(described["SecondaryStatus"])
        self.instance_type = str(described.get("ResourceConfig", {}).get("InstanceType", ""))
        self.reason = str(described.get("FailureReason", ""))

    @property
    def is_of(self) -> str:
        """The key under which it was asked for, as JSON."""
        return str(self._told.get("HyperParameters", {}).get("homeostat_key", ""))

    @property
    def running(self) -> bool:
        return self.status in {"InProgress", "Stopping"}

    @property
    def starved(self) -> bool:
        """It never got its machine: another type, or another hour, may help."""
        no_capacity = self.status == "Failed" and any(word in self.reason for word in _CAPACITY)
        return no_capacity or self.secondary == "MaxWaitTimeExceeded"

    @property
    def broken_there(self) -> bool:
        """SageMaker itself failed: the same again."""
        return self.status == "Failed" and self.reason.startswith(_THEIR_FAULT)

    def state(self, job: TrainChallenger, objects: Objects) -> JobState:
        """How it stands, in our words. Raises: Corrupt, NotFound, Unavailable (its result can't be read)."""
        if self.status == "Completed":
            return self._completed(job, objects)
        if self.secondary == "MaxRuntimeExceeded":
            text = f"training took longer than {job.max_runtime}: raise max_runtime, or shorten the horizons"
            return JobState(key=job.key, phase=JobPhase.FAILED, failure=text)
        if self.status == "Failed":
            return JobState(key=job.key, phase=JobPhase.FAILED, failure=self._why(job))
        if self.running:
            return JobState(key=job.key, phase=JobPhase.RUNNING, progress=self._progress())
        return JobState(key=job.key, phase=JobPhase.STOPPED, progress="stopped on request")

    def _progress(self) -> str:
        moves = self._told.get("SecondaryStatusTransitions") or [{}]
        said = str(moves[-1].get("StatusMessage", ""))
        return f"{self.secondary} on {self.instance_type}: {said}".rstrip(": ")

    def _why(self, job: TrainChallenger) -> str:
        if any(word in self.reason for word in _OUT_OF_MEMORY):
            larger = f"{self.name} ran out of memory on {self.instance_type}: take a larger one, or shorten the horizons"
            return f"{larger} ({self.reason})"
        return f"{self.name}: {self.reason or f'{job.key} failed without a reason'}"

    def _completed(self, job: TrainChallenger, objects: Objects) -> JobState:
        model = str(self._told["ModelArtifacts"]["S3ModelArtifacts"])
        result = _result(objects, f"{model.rpartition('/')[0]}/output.tar.gz")
        if result.challenger is None:
            return JobState(key=job.key, phase=JobPhase.FAILED, failure=result.failure or "the job left neither model nor reason")
        seconds = float(self._told.get("TrainingTimeInSeconds", 0))
        billed = float(self._told.get("BillableTimeInSeconds", seconds))
        cost = billed / 3600 * job.price_per_hour
        changed = {"artifact_uri": model, "seconds": seconds, "cost_usd": cost}
        made: Challenger = result.challenger.model_copy(update=changed)
        return JobState(key=job.key, phase=JobPhase.COMPLETED, challenger=made, progress=result.note)


def _result(objects: Objects, uri: str) -> TrainingResult:
    """Raises: Corrupt, NotFound, Unavailable."""
    try:
        return TrainingResult.model_validate_json(member(objects.get(objects.within(uri)), RESULT))
    except (KeyError, ValidationError, tarfile.TarError, OSError) as error:
        raise Corrupt(f"{uri} holds no result of a training job ({type(error).__name__}): train again under a new key") from None


def member(packed: bytes, name: str) -> bytes:
    """One file of a `.tar.gz` that SageMaker made. Raises: KeyError (it isn't there), TarError, OSError (it is no archive)."""
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        for entry in tar:
            if entry.name.removeprefix("./") == name and entry.isfile():
                found = tar.extractfile(entry)
                assert found is not None
                return found.read()
    raise KeyError(name)
