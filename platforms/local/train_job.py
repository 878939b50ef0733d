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
from functools import partial
from pathlib import Path
from typing import Final

import psutil

from contracts.training import TrainChallenger
from platforms.errors import Exhausted, PlatformError, Unavailable
from platforms.files import write_contract
from platforms.local.job_folder import JobFolder, JobProcess, Result, take_lock, write_note
from platforms.tabular.limits import lift_memory_limit, limit_memory, too_much_memory

_BEGAN: Final = time.monotonic()
_WATCH_SECONDS: Final = 0.05
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
        lift_memory_limit()
        folder.fail(too_much_memory(job))
    except (Exhausted, Unavailable):
        raise
    except PlatformError as error:
        folder.fail(str(error))


def _train(job: TrainChallenger, folder: JobFolder) -> None:
    """Raises: MemoryError, PlatformError."""
    import lightgbm  # late, so that the process is known and watched before the slow imports

    from platforms.tabular.artifact_file import write_model
    from platforms.tabular.fit import train
    from platforms.tabular.outcome import artifact_of, challenger_of, note_of, refused

    limit_memory(job.max_memory_mb)
    try:
        trained = train(job, partial(write_note, folder.progress))
    except lightgbm.basic.LightGBMError as error:
        raise refused(error) from error
    artifact = artifact_of(job, trained)
    path, digest = write_model(folder.path, artifact)
    seconds = time.monotonic() - _BEGAN
    made = challenger_of(job, trained, artifact, digest=digest, uri=str(path), seconds=seconds)
    write_contract(folder.result, Result(challenger=made, note=note_of(job, trained)))


def _limit_time(job: TrainChallenger, folder: JobFolder) -> None:
    """A watch that writes down why; behind it the kernel, should the watch fail."""
    seconds = job.max_runtime.total_seconds()
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + _CPU_GRACE, int(seconds) + 2 * _CPU_GRACE))
    threading.Thread(target=_watch, args=(job, folder, time.monotonic() + seconds), daemon=True).start()


def _watch(job: TrainChallenger, folder: JobFolder, deadline: float) -> None:
    """End the process when it has used up its time or its memory."""
    me, reason = psutil.Process(), None
    while reason is None:
        time.sleep(_WATCH_SECONDS)
        if time.monotonic() > deadline:
            reason = f"training took longer than {job.max_runtime}: raise max_runtime, or shorten the horizons"
        elif me.memory_info().rss > job.max_memory_mb << 20:
            reason = too_much_memory(job)
    lift_memory_limit()
    folder.fail(reason)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
