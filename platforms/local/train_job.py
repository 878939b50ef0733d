"""The training process: `python -m platforms.local.train_job FOLDER`. One job, then it ends.

It holds the folder's lock while it lives. What it can name, it writes to failure.json; when it dies without a word, the free
lock tells, and the job may be started again under the same key.
"""

import argparse
import faulthandler
import os
import resource
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from contracts.training import Challenger, ModelRef, Task, TrainChallenger
from platforms.errors import Exhausted, PlatformError, TrainingFailed, Unavailable
from platforms.files import write_contract
from platforms.local.job_folder import JobFolder, JobProcess, Result, take_lock, write_note

if TYPE_CHECKING:
    from learning.artifact import Artifact
    from platforms.tabular.fit import Trained

_BEGAN: Final = time.monotonic()
_WATCH_SECONDS: Final = 0.05
_MEMORY_SLACK_MB: Final = 256
_CPU_GRACE: Final = 60
"""Seconds of processor time beyond the limit after which the kernel ends a process whose watch has failed."""


def main(arguments: list[str] | None = None) -> int:
    """Train the job of one folder; exit code 0 where its end is written down."""
    parser = argparse.ArgumentParser(prog="python -m platforms.local.train_job", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="the job's folder, with job.json in it")
    parser.add_argument("--lock-fd", type=int, help="file descriptor that already holds the folder's lock")
    chosen = parser.parse_args(arguments)
    faulthandler.enable()
    folder = JobFolder(chosen.folder)
    lock = take_lock(folder.lock) if chosen.lock_fd is None else chosen.lock_fd
    if lock is None:
        print(f"{folder.path}: another process works on this job", file=sys.stderr)  # noqa: T201 - a command line's own output
        return 0
    try:
        _introduce(folder)
        job = folder.job()
        if folder.settled(job.key) is None:
            _run(job, folder)
    finally:
        os.close(lock)
    return 0


def _introduce(folder: JobFolder) -> None:
    me = psutil.Process()
    write_contract(folder.process, JobProcess(pid=me.pid, started=me.create_time()))


def _run(job: TrainChallenger, folder: JobFolder) -> None:
    """Train under the job's limits and write down how it ended.

    Raises:
        Exhausted, Unavailable: the disk, not the job: it may be started again.
    """
    _limit_time(job, folder)
    try:
        _train(job, folder)
    except MemoryError:
        _lift_memory_limit()
        folder.fail(_too_much(job))
    except (Exhausted, Unavailable):
        raise
    except PlatformError as error:
        folder.fail(str(error))


def _train(job: TrainChallenger, folder: JobFolder) -> None:
    """Raises: MemoryError, PlatformError."""
    import lightgbm  # late, so that the process is known and watched before the slow imports

    from platforms.tabular.artifact_file import write_model
    from platforms.tabular.fit import train

    _limit_memory(job.max_memory_mb)
    try:
        trained = train(job, partial(write_note, folder.progress))
    except lightgbm.basic.LightGBMError as error:
        if "bad_alloc" in str(error):
            raise MemoryError from error
        raise TrainingFailed(f"LightGBM refuses the data or the settings: {str(error).splitlines()[0]}") from error
    artifact = _artifact(job, trained)
    path, digest = write_model(folder.path, artifact)
    note = "; ".join([f"{len(trained.members)} of {len(job.recipe.blended)} members trained", *trained.skipped])
    write_contract(folder.result, Result(challenger=_challenger(job, trained, artifact, path=path, digest=digest), note=note))


def _artifact(job: TrainChallenger, trained: "Trained") -> "Artifact":
    from learning.artifact import Artifact  # late, as above

    return Artifact(
        features=job.features,
        task=job.task,
        classes=job.classes if job.task is Task.MULTICLASS else (),
        threshold=job.threshold if job.task is Task.BINARY else None,
        shift=job.shift or (0.0,) * (len(job.classes) if job.task is Task.MULTICLASS else 1),
        members=trained.members,
    )


def _challenger(job: TrainChallenger, trained: "Trained", artifact: "Artifact", *, path: Path, digest: str) -> Challenger:
    seconds = time.monotonic() - _BEGAN
    return Challenger(
        model=ModelRef(endpoint=job.endpoint, digest=digest),
        artifact_uri=str(path),
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


def _limit_time(job: TrainChallenger, folder: JobFolder) -> None:
    """A watch that writes down why; behind it the kernel, should the watch fail."""
    seconds = job.max_runtime.total_seconds()
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + _CPU_GRACE, int(seconds) + 2 * _CPU_GRACE))
    threading.Thread(target=_watch, args=(job, folder, time.monotonic() + seconds), daemon=True).start()


def _limit_memory(megabytes: int) -> None:
    """Let one huge allocation fail at once; the watch ends whatever grows past its limit step by step.

    Well above that limit, since LightGBM crashes without a word where a small allocation fails. Set after the imports, which
    don't survive it cleanly either.
    """
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    with suppress(ValueError, OSError):  # a system without this limit still has the watch
        resource.setrlimit(resource.RLIMIT_DATA, ((megabytes + megabytes // 4 + _MEMORY_SLACK_MB) << 20, most))


def _lift_memory_limit() -> None:
    """Leave room to write down what happened."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    with suppress(ValueError, OSError):  # as above
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _watch(job: TrainChallenger, folder: JobFolder, deadline: float) -> None:
    """End the process when it has used up its time or its memory."""
    me, reason = psutil.Process(), None
    while reason is None:
        time.sleep(_WATCH_SECONDS)
        if time.monotonic() > deadline:
            reason = f"training took longer than {job.max_runtime}: raise max_runtime, or shorten the horizons"
        elif me.memory_info().rss > job.max_memory_mb << 20:
            reason = _too_much(job)
    _lift_memory_limit()
    folder.fail(reason)
    os._exit(1)


def _too_much(job: TrainChallenger) -> str:
    return f"training needed more than {job.max_memory_mb} MB of memory: raise max_memory_mb, or shorten the horizons"


if __name__ == "__main__":
    sys.exit(main())
