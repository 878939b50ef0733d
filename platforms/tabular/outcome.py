"""What a training job leaves behind: the artifact of its members, and what it says of them."""

import lightgbm

from contracts.training import Challenger, ModelRef, Task, TrainChallenger
from learning.artifact import Artifact
from platforms.errors import TrainingFailed
from platforms.tabular.fit import Trained


def artifact_of(job: TrainChallenger, trained: Trained) -> Artifact:
    return Artifact(
        features=job.features,
        task=job.task,
        classes=job.classes if job.task is Task.MULTICLASS else (),
        threshold=job.threshold if job.task is Task.BINARY else None,
        shift=job.shift or (0.0,) * (len(job.classes) if job.task is Task.MULTICLASS else 1),
        members=trained.members,
    )


def challenger_of(
    job: TrainChallenger, trained: Trained, artifact: Artifact, *, digest: str, uri: str, seconds: float
) -> Challenger:
    return Challenger(
        model=ModelRef(endpoint=job.endpoint, digest=digest),
        artifact_uri=uri,
        purpose=job.purpose,
        trained_through=job.end,
        rows=trained.rows,
        positives=trained.positives,
        base_rate=trained.positives / trained.rows,
        seconds=seconds,
        cost_usd=seconds / 3600 * job.price_per_hour,
        dataset_sha256=job.dataset.sha256,
        task=artifact.task,
        classes=artifact.classes,
        threshold=artifact.threshold,
        baseline=trained.baseline,
        shift=job.shift,
    )


def note_of(job: TrainChallenger, trained: Trained) -> str:
    """How many members there are, and why others are missing."""
    return "; ".join([f"{len(trained.members)} of {len(job.recipe.blended)} members trained", *trained.skipped])


def refused(error: lightgbm.basic.LightGBMError) -> TrainingFailed | MemoryError:
    """LightGBM's refusal: of the data, or of memory that isn't there."""
    if "bad_alloc" in str(error):
        return MemoryError(str(error))
    return TrainingFailed(f"LightGBM refuses the data or the settings: {str(error).splitlines()[0]}")
