"""Training on AWS: one job under a key whatever is lost on the way, and another machine where there is none."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.compute import Compute
from contracts.snapshot import Snapshot
from contracts.training import JobPhase, JobState, Recipe, TrainChallenger
from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.aws.trainer import AwsTrainer
from platforms.errors import Conflict, Exhausted, NotFound, Unavailable
from platforms.local.trainer import LocalTrainer
from tests.aws.mirrored import MirroredFeatures
from tests.aws.simulator import Simulator
from tests.platforms.data_fixtures import LEARNER, finished, hourly, job, long_job, take, trained, until

pytestmark = pytest.mark.processes
CREATE = ("sagemaker", "CreateTrainingJob")
TWO = Compute(instance_types=("ml.m5.large", "ml.c5.xlarge"))


@pytest.fixture
def snapshot(aws: Aws, objects: Objects, tmp_path: Path) -> Snapshot:
    features = MirroredFeatures(tmp_path, objects)
    features.append("bikes", hourly(60))
    return features.snapshot(take(horizons=("all",)))


@pytest.fixture
def trainer(aws: Aws, objects: Objects) -> AwsTrainer:
    return AwsTrainer(aws, objects)


def _created(simulator: Simulator) -> list[dict[str, Any]]:
    return [call["params"] for call in simulator.calls(*CREATE) if call["outcome"].startswith("ok")]


def _machines(simulator: Simulator) -> list[str]:
    return [asked["ResourceConfig"]["InstanceType"] for asked in _created(simulator)]


def _ended(trainer: AwsTrainer, wanted: TrainChallenger) -> JobState:
    return finished(trainer, wanted)


def test_the_same_rows_give_the_same_bytes_as_on_the_local_platform(
    trainer: AwsTrainer, snapshot: Snapshot, tmp_path: Path
) -> None:
    there = trained(trainer, job(snapshot))
    local = MirroredFeatures(tmp_path, trainer._objects)._local.snapshot(take(horizons=("all",)))
    here = trained(LocalTrainer(tmp_path), job(local))
    assert there.model == here.model
    same = {"artifact_uri", "seconds", "cost_usd"}
    assert there.model_dump(exclude=same) == here.model_dump(exclude=same)


def test_an_answer_that_was_lost_starts_no_second_job(trainer: AwsTrainer, snapshot: Snapshot, simulator: Simulator) -> None:
    simulator.fault(*CREATE, "timeout_after")
    with pytest.raises(Unavailable):
        trainer.start(job(snapshot))
    assert _ended(trainer, job(snapshot)).phase is JobPhase.COMPLETED
    assert len(_created(simulator)) == 1


def test_a_throttled_request_is_made_again(trainer: AwsTrainer, snapshot: Snapshot, simulator: Simulator) -> None:
    simulator.fault(*CREATE, "throttle")
    with pytest.raises(Unavailable):
        trainer.start(job(snapshot))
    with pytest.raises(Unavailable, match="was recorded and not started"):
        trainer.describe("train/1")
    assert trainer.start(job(snapshot)).phase is JobPhase.RUNNING


def test_a_job_carries_who_pays_for_it(trainer: AwsTrainer, snapshot: Snapshot, aws: Aws, simulator: Simulator) -> None:
    trainer.start(job(snapshot))
    [asked] = _created(simulator)
    tags = {tag["Key"]: tag["Value"] for tag in asked["Tags"]}
    assert tags["homeostat:cost-center"] == "m-1"
    assert tags["homeostat:incident"] == job(snapshot).tags.incident
    assert tags["homeostat:temporary"] == "yes"
    assert asked["StoppingCondition"] == {"MaxRuntimeInSeconds": 120}


def test_a_team_s_name_may_have_signs_that_no_tag_has(trainer: AwsTrainer, snapshot: Snapshot, simulator: Simulator) -> None:
    """API_Tag.html: letters, digits, spaces and _.:/=+-@."""
    tags = job(snapshot).tags.model_copy(update={"team": "R&D, Zürich", "cost_center": "4711 (rides)"})
    trainer.start(job(snapshot, tags=tags))
    [asked] = _created(simulator)
    found = {tag["Key"]: tag["Value"] for tag in asked["Tags"]}
    assert (found["homeostat:team"], found["homeostat:cost-center"]) == ("R_D_ Zürich", "4711 _rides_")


def test_without_capacity_the_next_type_is_tried(trainer: AwsTrainer, snapshot: Snapshot, simulator: Simulator) -> None:
    simulator.fault(*CREATE, "capacity")
    state = _ended(trainer, job(snapshot, compute=TWO))
    assert state.phase is JobPhase.COMPLETED, state.failure
    assert _machines(simulator) == ["ml.m5.large", "ml.c5.xlarge"]
    assert trainer.start(job(snapshot, compute=TWO)) == state


def test_without_quota_the_next_type_is_tried_under_the_same_name(
    trainer: AwsTrainer, snapshot: Snapshot, simulator: Simulator
) -> None:
    simulator.fault(*CREATE, "resource_limit")
    assert trainer.start(job(snapshot, compute=TWO)).phase is JobPhase.RUNNING
    assert _machines(simulator) == ["ml.c5.xlarge"]
    simulator.fault(*CREATE, "resource_limit", times=2)
    with pytest.raises(Exhausted, match="no machine for train/2 among ml"):
        trainer.start(job(snapshot, "train/2", compute=TWO))


def test_a_worker_killed_between_two_attempts_is_followed_by_one_that_goes_on(
    aws: Aws, objects: Objects, trainer: AwsTrainer, snapshot: Snapshot, simulator: Simulator
) -> None:
    simulator.fault(*CREATE, "capacity")
    wanted = job(snapshot, compute=TWO)
    trainer.start(wanted)
    name = _created(simulator)[0]["TrainingJobName"]
    until(lambda: _status(aws, name) == "Failed")
    assert AwsTrainer(aws, objects).start(wanted).phase is JobPhase.RUNNING
    assert _machines(simulator) == ["ml.m5.large", "ml.c5.xlarge"]


def _status(aws: Aws, name: str) -> str:
    return str(aws.call("sagemaker", "describe_training_job", TrainingJobName=name)["TrainingJobStatus"])


def test_with_no_machine_at_all_the_step_is_told_and_tried_from_the_first_again(
    trainer: AwsTrainer, snapshot: Snapshot, simulator: Simulator
) -> None:
    simulator.fault(*CREATE, "capacity", times=2)
    wanted = job(snapshot, compute=TWO)
    with pytest.raises(Exhausted, match="CapacityError"):
        _ended(trainer, wanted)
    assert _ended(trainer, wanted).phase is JobPhase.COMPLETED
    assert _machines(simulator) == ["ml.m5.large", "ml.c5.xlarge", "ml.m5.large"]


def test_a_job_that_is_stopped_between_two_attempts_gets_no_other(
    aws: Aws, trainer: AwsTrainer, snapshot: Snapshot, simulator: Simulator
) -> None:
    simulator.fault(*CREATE, "capacity")
    wanted = job(snapshot, compute=TWO)
    trainer.start(wanted)
    until(lambda: _status(aws, _created(simulator)[0]["TrainingJobName"]) == "Failed")
    trainer.stop(wanted.key)
    assert trainer.start(wanted).phase is trainer.describe(wanted.key).phase is JobPhase.STOPPED
    assert len(_created(simulator)) == 1


def test_a_job_is_stopped_there_and_not_only_in_our_books(
    aws: Aws, trainer: AwsTrainer, snapshot: Snapshot, simulator: Simulator
) -> None:
    trainer.start(long_job(snapshot))
    name = _created(simulator)[0]["TrainingJobName"]
    simulator.fault("sagemaker", "StopTrainingJob", "timeout_after")
    with pytest.raises(Unavailable):
        trainer.stop("train/long")
    trainer.stop("train/long")
    until(lambda: _status(aws, name) == "Stopped")


def test_a_job_that_begins_while_it_is_stopped_is_stopped_by_the_next_look(
    aws: Aws, objects: Objects, trainer: AwsTrainer, snapshot: Snapshot, simulator: Simulator
) -> None:
    """The stop saw no job yet, and the worker that created it died before it looked again."""
    wanted = long_job(snapshot)
    trainer.start(wanted)
    objects.put(trainer._stop_note(wanted.key), b'{"text": "stopped on request"}')
    assert AwsTrainer(aws, objects).describe(wanted.key).phase is JobPhase.STOPPED
    until(lambda: _status(aws, _created(simulator)[0]["TrainingJobName"]) == "Stopped")


def test_an_interrupted_spot_job_makes_the_same_model_from_its_checkpoints(
    aws: Aws, objects: Objects, trainer: AwsTrainer, snapshot: Snapshot, simulator: Simulator
) -> None:
    learner = LEARNER.model_copy(update={"rounds": 600})
    recipe = Recipe(horizons=(*(timedelta(days=days) for days in (10, 30)), "all"), learner=learner)
    plain = trained(trainer, job(snapshot, "train/plain", recipe=recipe))
    simulator.fault(*CREATE, "spot_interruption")
    spot = Compute(spot=True, checkpoints=True)
    made = trained(trainer, job(snapshot, "train/spot", recipe=recipe, compute=spot))
    told = aws.call("sagemaker", "describe_training_job", TrainingJobName=_created(simulator)[-1]["TrainingJobName"])
    assert "Interrupted" in [move["Status"] for move in told["SecondaryStatusTransitions"]]
    assert made.model == plain.model
    assert made.cost_usd == pytest.approx(told["BillableTimeInSeconds"] * 3.6 / 3600)
    assert len([key for key in objects.keys("jobs/") if "/checkpoints/" in key]) == len(recipe.horizons)


def test_a_crash_fails_the_job_with_what_sagemaker_says(
    trainer: AwsTrainer, snapshot: Snapshot, objects: Objects, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from platforms.aws.packaging import archive

    broken = objects.put("container/broken.tar.gz", archive({"train.py": b"raise SystemExit(9)"}))
    monkeypatch.setattr(trainer._package, "_kept", broken)
    state = _ended(trainer, job(snapshot))
    assert state.phase is JobPhase.FAILED
    assert "AlgorithmError: ExecuteUserScriptError:\nExitCode 9" in (state.failure or "")


def test_spot_capacity_that_never_came_is_another_machine_s_turn(
    aws: Aws, trainer: AwsTrainer, snapshot: Snapshot, simulator: Simulator
) -> None:
    simulator.fault(*CREATE, "capacity")
    spot = TWO.model_copy(update={"spot": True, "max_wait": timedelta(minutes=2)})
    wanted = job(snapshot, compute=spot)
    trainer.start(wanted)
    assert _ended(trainer, wanted).phase is JobPhase.COMPLETED
    assert _machines(simulator) == ["ml.m5.large", "ml.c5.xlarge"]


def test_another_job_under_the_key_is_a_conflict_also_for_another_process(
    aws: Aws, objects: Objects, trainer: AwsTrainer, snapshot: Snapshot
) -> None:
    trainer.start(job(snapshot))
    with pytest.raises(Conflict, match="'train/1' belongs to another training job"):
        AwsTrainer(aws, objects).start(job(snapshot, label="hour"))
    with pytest.raises(NotFound):
        AwsTrainer(aws, objects).describe("train/2")
