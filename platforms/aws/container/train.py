"""The training job inside its container: what `train.py` of the source package runs.

Reads the channels `job` (job.json) and `dataset` (a frozen dataset) under /opt/ml, leaves `model/model.json` and
`output/data/result.json`. A failure that we can name is a result, and the job ends well: SageMaker passes on what its own
toolkit makes of an exit code, not our words. Whatever else ends the process is a failed job.
"""

import faulthandler
import sys
import time

import lightgbm

from contracts.training import Challenger, TrainChallenger
from platforms.aws.container.checkpoints import Checkpoints
from platforms.aws.container.layout import Layout, TrainingResult
from platforms.errors import Exhausted, PlatformError, Unavailable
from platforms.files import read_json, write_atomic, write_contract
from platforms.tabular.artifact_file import write_model
from platforms.tabular.dataset import ROWS
from platforms.tabular.fit import Kept, train
from platforms.tabular.limits import lift_memory_limit, limit_memory, too_much_memory
from platforms.tabular.outcome import artifact_of, challenger_of, note_of, refused


def main() -> int:
    """Exit code 0 where the end is written down."""
    faulthandler.enable()
    layout = Layout()
    job = read_json(layout.job, TrainChallenger)
    result = _result(job, layout)
    if result.failure is not None:
        write_atomic(layout.failure, result.failure.encode())
        _say(result.failure)
    write_contract(layout.result, result)
    return 0


def _result(job: TrainChallenger, layout: Layout) -> TrainingResult:
    """Raises: Exhausted, Unavailable (the disk, not the job)."""
    kept: Kept | None = Checkpoints(layout.checkpoints, job) if layout.checkpoints.is_dir() else None
    try:
        limit_memory(job.max_memory_mb)
        return _trained(job, layout, kept)
    except MemoryError:
        lift_memory_limit()
        return TrainingResult(failure=too_much_memory(job))
    except (Exhausted, Unavailable):
        raise
    except PlatformError as error:
        return TrainingResult(failure=str(error))


def _trained(job: TrainChallenger, layout: Layout, kept: Kept | None) -> TrainingResult:
    """Raises: MemoryError, PlatformError."""
    began = time.monotonic()
    here = job.model_copy(update={"dataset": job.dataset.model_copy(update={"uri": str(layout.dataset / ROWS)})})
    try:
        trained = train(here, _say, kept)
    except lightgbm.basic.LightGBMError as error:
        raise refused(error) from error
    artifact = artifact_of(job, trained)
    _, digest = write_model(layout.model, artifact)
    seconds = time.monotonic() - began
    made: Challenger = challenger_of(job, trained, artifact, digest=digest, uri="", seconds=seconds)
    return TrainingResult(challenger=made, note=note_of(job, trained))


def _say(line: str) -> None:
    """Into the job's log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
