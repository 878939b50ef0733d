"""Training jobs of the simulator behave as SageMaker's do; each behaviour with the source that it was taken from."""

from typing import Any

import pytest

from platforms.aws.calls import Answer, Aws
from platforms.aws.names import name_of
from platforms.aws.objects import Objects
from platforms.aws.packaging import archive
from platforms.errors import Conflict, Invalid, NotFound, Unavailable
from tests.aws.fixtures import IMAGE, ROLE
from tests.aws.simulator import Simulator
from tests.platforms.data_fixtures import until

pytestmark = pytest.mark.processes

COPIES = """
import pathlib, os
root = pathlib.Path(os.environ["HOMEOSTAT_ML_ROOT"])
(root / "model" / "said").write_text((root / "input/data/words/text").read_text().upper())
"""
SLEEPS = "import time\ntime.sleep(60)"
GOES_ON = """
import pathlib, os, time
root = pathlib.Path(os.environ["HOMEOSTAT_ML_ROOT"])
kept = root / "checkpoints" / "epoch.json"
(root / "model" / "began_with").write_text(kept.read_text() if kept.exists() else "nothing")
if not kept.exists():
    kept.write_text("1")
    time.sleep(60)
"""


def _asked(aws: Aws, objects: Objects, script: str, key: str, **other: Any) -> dict[str, Any]:
    source = objects.put(f"container/{key}.tar.gz", archive({"train.py": script.encode()}))
    words = objects.put(f"words/{key}/text", b"hello").rpartition("/")[0]
    asked = {
        "TrainingJobName": name_of(aws.settings.prefix, "bikes", "train", key),
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": f'"{source}"'},
        "InputDataConfig": [
            {"ChannelName": "words", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{words}/"}}}
        ],
        "OutputDataConfig": {"S3OutputPath": objects.uri("out")},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 50},
    }
    return asked | other


def _ended(aws: Aws, name: str) -> Answer:
    told: Answer = {}

    def over() -> bool:
        nonlocal told
        told = aws.call("sagemaker", "describe_training_job", TrainingJobName=name)
        return told["TrainingJobStatus"] in {"Completed", "Failed", "Stopped"}

    until(over)
    return told


def _run(aws: Aws, objects: Objects, script: str, key: str, **other: Any) -> Answer:
    asked = _asked(aws, objects, script, key, **other)
    aws.call("sagemaker", "create_training_job", **asked)
    return _ended(aws, asked["TrainingJobName"])


def test_a_job_goes_through_its_states_and_leaves_its_model(aws: Aws, objects: Objects) -> None:
    """docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html, SecondaryStatus."""
    told = _run(aws, objects, COPIES, "copies")
    moves = [move["Status"] for move in told["SecondaryStatusTransitions"]]
    assert moves == ["Starting", "Downloading", "Training", "Uploading", "Completed"], told.get("FailureReason")
    assert told["ModelArtifacts"]["S3ModelArtifacts"] == objects.uri(f"out/{told['TrainingJobName']}/output/model.tar.gz")
    assert b"HELLO" in _unpacked(objects.get(objects.within(told["ModelArtifacts"]["S3ModelArtifacts"])))
    assert told["BillableTimeInSeconds"] == told["TrainingTimeInSeconds"] >= 1


def _unpacked(content: bytes) -> bytes:
    import gzip

    return gzip.decompress(content)


def test_a_name_is_taken_for_ever(aws: Aws, objects: Objects) -> None:
    """ResourceInUse: github.com/aws/amazon-sagemaker-examples/pull/3108; never deleted: /issues/633."""
    told = _run(aws, objects, COPIES, "taken")
    with pytest.raises(Conflict, match="ResourceInUse: Training job names must be unique within an AWS account and region"):
        aws.call("sagemaker", "create_training_job", **_asked(aws, objects, COPIES, "taken"))
    assert told["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        # The pattern of the API model, which boto3 passes: github.com/Kenza-AI/sagify/issues/57
        ({"TrainingJobName": "with_underscore"}, "failed to satisfy constraint: Member must satisfy regular expression"),
        ({"TrainingJobName": "a" * 64}, "failed to satisfy constraint"),
        ({"RoleArn": "arn:aws:iam::1:role/short-account-number"}, "roleArn"),
        # docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds"),
        (
            {"EnableManagedSpotTraining": True, "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}},
            "greater than or equal to MaxRuntimeInSeconds",
        ),
    ],
)
def test_a_request_that_can_not_be_right_is_refused(aws: Aws, objects: Objects, change: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        aws.call("sagemaker", "create_training_job", **_asked(aws, objects, COPIES, "wrong", **change))


def test_a_channel_without_objects_is_refused_at_once(aws: Aws, objects: Objects) -> None:
    """github.com/aws/amazon-sagemaker-examples/issues/2489."""
    nowhere = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": objects.uri("nothing/")}}
    with pytest.raises(Invalid, match='No S3 objects found under S3 URL "s3://'):
        aws.call(
            "sagemaker",
            "create_training_job",
            **_asked(aws, objects, COPIES, "empty", InputDataConfig=[{"ChannelName": "words", "DataSource": nowhere}]),
        )


def test_a_crash_fails_the_job_with_the_toolkit_s_words(aws: Aws, objects: Objects) -> None:
    """AlgorithmError, and ExecuteUserScriptError of github.com/aws/sagemaker-training-toolkit (errors.py)."""
    told = _run(aws, objects, "raise SystemExit(3)", "crash")
    assert told["TrainingJobStatus"] == "Failed"
    assert told["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 3")


def test_a_stopped_job_says_so_and_is_stopped_once(aws: Aws, objects: Objects) -> None:
    """Stop is refused unless the job is InProgress: github.com/awslabs/benchmark-ai/issues/928."""
    asked = _asked(aws, objects, SLEEPS, "sleeps", StoppingCondition={"MaxRuntimeInSeconds": 3600})
    name = asked["TrainingJobName"]
    aws.call("sagemaker", "create_training_job", **asked)
    until(lambda: _secondary(aws, name) == "Training")
    aws.call("sagemaker", "stop_training_job", TrainingJobName=name)
    told = _ended(aws, name)
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Stopped", "Stopped")
    with pytest.raises(Invalid, match="The request was rejected because the training job is in status Stopped"):
        aws.call("sagemaker", "stop_training_job", TrainingJobName=name)
    with pytest.raises(NotFound):
        aws.call("sagemaker", "stop_training_job", TrainingJobName="never-made")


def _secondary(aws: Aws, name: str) -> str:
    return str(aws.call("sagemaker", "describe_training_job", TrainingJobName=name)["SecondaryStatus"])


def test_a_job_past_its_time_is_stopped_and_not_failed(aws: Aws, objects: Objects) -> None:
    """SecondaryStatus MaxRuntimeExceeded of a Stopped job: API_DescribeTrainingJob.html; the clock that is moved counts."""
    told = _run(aws, objects, SLEEPS, "late", StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_no_capacity_fails_the_job_and_not_the_request(aws: Aws, objects: Objects, simulator: Simulator) -> None:
    """github.com/DIAGNijmegen/rse-grand-challenge/issues/2631."""
    simulator.fault("sagemaker", "CreateTrainingJob", "capacity")
    told = _run(aws, objects, COPIES, "capacity")
    assert told["TrainingJobStatus"] == "Failed"
    assert told["FailureReason"].startswith("CapacityError: Unable to provision requested ML compute capacity.")


def test_an_interrupted_spot_job_goes_on_from_its_checkpoints(aws: Aws, objects: Objects, simulator: Simulator) -> None:
    """docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html: Interrupted, then Starting again."""
    simulator.fault("sagemaker", "CreateTrainingJob", "spot_interruption")
    told = _run(
        aws,
        objects,
        GOES_ON,
        "spot",
        EnableManagedSpotTraining=True,
        CheckpointConfig={"S3Uri": objects.uri("checkpoints/spot")},
        StoppingCondition={"MaxRuntimeInSeconds": 50, "MaxWaitTimeInSeconds": 50},
    )
    assert told["TrainingJobStatus"] == "Completed", told.get("FailureReason")
    assert "Interrupted" in [move["Status"] for move in told["SecondaryStatusTransitions"]]
    assert b"1" in _unpacked(objects.get(objects.within(told["ModelArtifacts"]["S3ModelArtifacts"])))
    assert told["BillableTimeInSeconds"] <= told["TrainingTimeInSeconds"]


def test_an_image_that_runs_nothing_of_ours_fails_loudly(aws: Aws, objects: Objects) -> None:
    told = _run(aws, objects, COPIES, "foreign", HyperParameters={"depth": "5"})
    assert "NotSimulated: only images in script mode are run here" in told["FailureReason"]


def test_a_request_that_is_throttled_did_nothing_and_one_cut_off_did(aws: Aws, objects: Objects, simulator: Simulator) -> None:
    asked = _asked(aws, objects, COPIES, "faults")
    simulator.fault("sagemaker", "CreateTrainingJob", "throttle")
    with pytest.raises(Unavailable):
        aws.call("sagemaker", "create_training_job", **asked)
    with pytest.raises(NotFound):
        _secondary(aws, asked["TrainingJobName"])
    simulator.fault("sagemaker", "CreateTrainingJob", "timeout_after")
    with pytest.raises(Unavailable):
        aws.call("sagemaker", "create_training_job", **asked)
    assert _secondary(aws, asked["TrainingJobName"])


def test_jobs_are_listed_by_name_and_status(aws: Aws, objects: Objects) -> None:
    told = _run(aws, objects, COPIES, "listed")
    found = aws.call("sagemaker", "list_training_jobs", NameContains=aws.settings.prefix, StatusEquals="Completed")
    assert [row["TrainingJobName"] for row in found["TrainingJobSummaries"]] == [told["TrainingJobName"]]
