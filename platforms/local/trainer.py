"""Training jobs as child processes that outlive their worker: the key is the truth, a retry adopts what runs."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

import psutil

from contracts.training import JobPhase, JobState, TrainChallenger
from platforms.errors import Conflict, Exhausted, NotFound, Unavailable
from platforms.files import key_folder, platform_errors, write_contract
from platforms.local.job_folder import Attempt, JobFolder, JobProcess, bump, read_if_there, take_lock, write_note
from platforms.local.staging import staged
from platforms.locks import lock_held
from platforms.tagged import TAGS, Tagged

MAX_ATTEMPTS: Final = 5
"""How often a job that dies without a word is started again."""
_ROOT: Final = Path(__file__).resolve().parents[2]
_PASSED_ON: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "HOMEOSTAT_GROUP",
)
"""All that the training process gets to see of the worker's environment: no tokens. The group lets `make down` find it."""
_LOCK_TRIES: Final = 5
_LOCK_PAUSE: Final = 0.01
_STOP_SECONDS: Final = 10.0
_PATIENCE: Final = 3.0
"""Seconds between asking a process to end and ending it."""


class LocalTrainer:
    """Jobs under `home/jobs`; any number of objects and processes may share them."""

    def __init__(self, home: Path) -> None:
        self._jobs = home.resolve() / "jobs"

    def start(self, job: TrainChallenger) -> JobState:
        """Start the job, adopt the one that runs under its key, or start one again that died without a word.

        Raises:
            Conflict: another job has this key.
            Exhausted: disk, memory or processes are used up.
        """
        folder = self._adopted(job)
        if settled := folder.settled(job.key):
            return settled
        lock = _patiently(folder.lock)
        if lock is None:
            return folder.running(job.key)
        try:
            return folder.settled(job.key) or self._launch(folder, job.key, lock)
        finally:
            os.close(lock)

    def describe(self, key: str) -> JobState:
        """How the job stands.

        Raises:
            NotFound: no job has this key.
            Unavailable: its process died without a word; `start` runs it again.
        """
        folder = self._folder(key)
        if not folder.path.is_dir():
            raise NotFound(f"no training job has the key {key!r}: start it first")
        if settled := folder.settled(key):
            return settled
        if lock_held(folder.lock):
            return folder.running(key)
        if settled := folder.settled(key):
            return settled
        raise Unavailable(f"the training process of {key} is gone without a result, {folder.last_words()}. Start it again")

    def stop(self, key: str) -> None:
        """Stop the job if it runs; afterwards no process works on it.

        Raises:
            Unavailable: the process would not end.
        """
        folder = self._folder(key)
        if not folder.path.is_dir():
            return
        if folder.settled(key) is None:
            write_note(folder.stopped, "stopped on request")
        asked = time.monotonic()
        while lock_held(folder.lock):
            waited = time.monotonic() - asked
            if waited > _STOP_SECONDS:
                raise Unavailable(f"the training process of {key} did not end within {_STOP_SECONDS:g} s. Try again")
            _end(folder, signal.SIGKILL if waited > _PATIENCE else signal.SIGTERM)
            time.sleep(_LOCK_PAUSE)

    def running(self) -> int:
        """How many jobs have a living process."""
        return sum(lock_held(path) for path in self._jobs.glob("*/job.lock"))

    def _folder(self, key: str) -> JobFolder:
        return JobFolder(key_folder(self._jobs, key))

    def _adopted(self, job: TrainChallenger) -> JobFolder:
        """The folder of this job, made if need be. Raises: Conflict."""
        folder = self._folder(job.key)
        if not folder.path.is_dir():
            self._create(folder, job)
        if folder.job() != job:
            raise Conflict(f"the key {job.key!r} belongs to another training job in {folder.path}: use a key of its own")
        return folder

    def _create(self, folder: JobFolder, job: TrainChallenger) -> None:
        """Make the folder whole in one step."""
        with staged(folder.path) as staging:
            write_contract(staging / TAGS, Tagged.of(job.tags, "training job"))
            write_contract(staging / "job.json", job)

    def _launch(self, folder: JobFolder, key: str, lock: int) -> JobState:
        """Spawn the process; it inherits the lock, so at no moment is the job without a holder."""
        attempts = read_if_there(folder.attempt, Attempt) or Attempt()
        if attempts.number >= MAX_ATTEMPTS:
            folder.fail(f"the training process died {attempts.number} times without a result, {folder.last_words()}")
            return folder.settled(key) or folder.running(key)
        bump(folder)
        folder.progress.unlink(missing_ok=True)
        _spawn(folder, lock)
        return JobState(key=key, phase=JobPhase.RUNNING, progress="starting")


def _spawn(folder: JobFolder, lock: int) -> None:
    command = [sys.executable, "-m", "platforms.local.train_job", str(folder.path), "--lock-fd", str(lock)]
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"OMP_NUM_THREADS": "1"}
    with platform_errors(folder.log), folder.log.open("ab") as log:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module, on a folder that we named
                command,
                cwd=_ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
            )
        except OSError as error:
            if error.errno in (errno.ENOMEM, errno.EAGAIN):
                raise Exhausted(f"no training process can be started: {error.strerror}. Stop others, or wait") from error
            raise
    threading.Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True).start()


def _patiently(path: Path) -> int | None:
    """The lock, unless a process keeps it: one that only looks has it for a moment."""
    for _ in range(_LOCK_TRIES):
        if (handle := take_lock(path)) is not None:
            return handle
        time.sleep(_LOCK_PAUSE)
    return None


def _end(folder: JobFolder, how: signal.Signals) -> None:
    """Signal the job's process group, once it has said who it is and while it still is the one that said so."""
    process = read_if_there(folder.process, JobProcess)
    if process is None:
        return
    try:
        if psutil.Process(process.pid).create_time() == process.started:
            os.killpg(process.pid, how)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return
