"""Windows of data and jobs: one execution for a key, one job for a key, and what nobody wants any more ends."""

from typing import Final

import pytest

from contracts.compute import Compute
from contracts.snapshot import Snapshot
from contracts.training import JobPhase, JobState, TrainChallenger
from platforms.aws.athena import Athena
from platforms.aws.calls import Aws
from platforms.aws.feature_store import AwsFeatureStore
from platforms.aws.objects import Objects
from platforms.aws.trainer import AwsTrainer
from tests.aws.faulting import Stage, Step, Story
from tests.aws.fixtures import new_account
from tests.aws.offline_store import OfflineStore
from tests.platforms.data_fixtures import DATA, hourly, job, lenient, long_job, take, until

_DATA: Final = DATA.model_copy(update={"coverage": lenient()})
_TYPES: Final = ("ml.m5.large", "ml.c5.xlarge")


def _account(stage: Stage) -> Aws:
    """One whose feature groups are its own."""
    if "account" not in stage.kept:
        stage.kept["account"] = new_account(feature_group_prefix=f"{stage.aws.settings.prefix}-")
        OfflineStore(stage.kept["account"]).append("bikes", hourly(60))
    return stage.kept["account"]  # type: ignore[no-any-return]


# ---- data


def _snapshot(stage: Stage) -> Snapshot:
    aws = _account(stage)
    return AwsFeatureStore(aws, Objects(aws)).snapshot(take(data=_DATA))


def _freezing(stage: Stage) -> Step:
    _account(stage)
    return lambda: _snapshot(stage)


def _freezing_holds(stage: Stage) -> None:
    taken = _snapshot(stage)
    assert taken.retrieval is not None
    unloads = [asked for asked in stage.done("athena", "StartQueryExecution") if asked["QueryString"].startswith("UNLOAD")]
    assert len({asked["ClientRequestToken"] for asked in unloads}) == (2 if stage.kind == "capacity" else 1)
    left = {key.split("/")[2] for key in Objects(_account(stage)).keys("snapshots/")}
    assert not {name for name in left if name.startswith("unload-") and stage.kind != "capacity"}
    assert _snapshot(stage) == taken


def _giving_up(stage: Stage) -> Step:
    """The first look comes too late for this worker's patience; the next try has it again."""
    aws = _account(stage)
    athena, patience = Athena(aws, Objects(aws)), iter((-1.0,))

    def step() -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("platforms.aws.athena._PATIENCE", next(patience, 60.0))
            return athena.rows("select 1 as one")

    return step


def _giving_up_holds(stage: Stage) -> None:
    """What was not stopped, since the call was lost, ends by itself."""
    asked = {call["params"]["QueryExecutionId"] for call in stage.simulator.calls("athena", "GetQueryExecution")}
    assert len(asked) == 2

    def over(id_: str) -> bool:
        told = stage.seen("athena", "get_query_execution", QueryExecutionId=id_)["QueryExecution"]
        return str(told["Status"]["State"]) in {"CANCELLED", "SUCCEEDED"}

    until(lambda: all(map(over, asked)), 10)


# ---- training


def _trainer(stage: Stage) -> AwsTrainer:
    """As another worker opens it."""
    aws = _account(stage)
    return AwsTrainer(aws, Objects(aws))


def _jobs(stage: Stage) -> list[str]:
    """Status of every training job of the account."""
    prefix = _account(stage).settings.prefix
    found = stage.seen("sagemaker", "list_training_jobs", NameContains=prefix, MaxResults=100)["TrainingJobSummaries"]
    return sorted(str(each["TrainingJobStatus"]) for each in found)


def _training(stage: Stage) -> Step:
    spot = {"spot": True, "checkpoints": True} if stage.kind == "spot_interruption" else {}
    wanted = job(_snapshot(stage), compute=Compute.model_validate({"instance_types": _TYPES, **spot}))
    stage.kept["wanted"] = wanted
    return lambda: _trainer(stage).start(wanted)


def _training_holds(stage: Stage) -> str | None:
    """Followed to its end where the fault is the machine's; else it is enough that there is one, and it is ended."""
    wanted = stage.kept["wanted"]
    if stage.kind not in ("capacity", "spot_interruption"):
        assert len(_jobs(stage)) == len(stage.done("sagemaker", "CreateTrainingJob")) == 1
        assert _trainer(stage).start(wanted).key == wanted.key
        _trainer(stage).stop(wanted.key)
        return None
    assert _followed(stage, wanted).phase is JobPhase.COMPLETED
    assert _jobs(stage) == (["Completed", "Failed"] if stage.kind == "capacity" else ["Completed"])
    assert _trainer(stage).start(wanted).phase is JobPhase.COMPLETED
    return "next machine" if stage.kind == "capacity" else "from its checkpoint"


def _followed(stage: Stage, wanted: TrainChallenger) -> JobState:
    until(lambda: _trainer(stage).describe(wanted.key).phase is not JobPhase.RUNNING)
    return _trainer(stage).describe(wanted.key)


def _stopping(stage: Stage) -> Step:
    wanted = stage.kept["wanted"] = long_job(_snapshot(stage))
    _trainer(stage).start(wanted)
    return lambda: _trainer(stage).stop(wanted.key)


def _stopping_holds(stage: Stage) -> None:
    until(lambda: _jobs(stage) not in (["InProgress"], ["Stopping"]))
    assert _jobs(stage) == ["Stopped"], _jobs(stage)
    for _ in range(2):
        assert _trainer(stage).start(stage.kept["wanted"]).phase is JobPhase.STOPPED
    assert _jobs(stage) == ["Stopped"]


JOBS: Final = (
    Story(
        "athena",
        "start_query_execution",
        "freeze a window",
        "one execution is paid for, and the snapshot is there once",
        _freezing,
        _freezing_holds,
        more=("capacity",),
    ),
    Story("athena", "stop_query_execution", "give up a query", "no query goes on", _giving_up, _giving_up_holds),
    Story(
        "sagemaker",
        "create_training_job",
        "train",
        "one job runs for the key, whoever asks again; the next machine where there is none",
        _training,
        _training_holds,
        more=("resource_limit", "capacity", "spot_interruption"),
        processes=True,
    ),
    Story(
        "sagemaker",
        "stop_training_job",
        "stop a training job",
        "the job ends, and its key starts no other",
        _stopping,
        _stopping_holds,
        processes=True,
    ),
)
