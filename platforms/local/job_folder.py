"""The folder of one training job: what it is, who runs it, how it ended.

job.json, tags.json         what was asked for; written once
job.lock                    held by the training process for its whole life, from before it is spawned
attempt.json, process.json  how often it was started, and the process that runs it now
job.log, progress.json      what it said on its way
model.json, result.json     the model, then the result; or failure.json, or stopped.json
"""

import fcntl
import os
from pathlib import Path
from typing import Final

from contracts.base import Contract
from contracts.training import Challenger, JobPhase, JobState, TrainChallenger
from platforms.errors import NotFound
from platforms.files import M, platform_errors, read_json, write_contract

_TAIL: Final = 8000


class Attempt(Contract):
    """How often the job was started."""

    number: int = 0


class JobProcess(Contract):
    """Who runs the job; a process id alone could have been given to somebody else since."""

    pid: int
    started: float
    """The process' start time in seconds since 1970, as the operating system tells it."""


class Note(Contract):
    """One sentence: progress, a failure's reason, who stopped it."""

    text: str


class Result(Contract):
    """How a job ended well."""

    challenger: Challenger
    note: str = ""


class JobFolder:
    """The files of one job by their names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = path / "job.lock"
        self.log = path / "job.log"
        self.result = path / "result.json"
        self.failure = path / "failure.json"
        self.stopped = path / "stopped.json"
        self.process = path / "process.json"
        self.attempt = path / "attempt.json"
        self.progress = path / "progress.json"

    def job(self) -> TrainChallenger:
        """Raises: NotFound, Corrupt."""
        return read_json(self.path / "job.json", TrainChallenger)

    def settled(self, key: str) -> JobState | None:
        """How the job ended, or None while it hasn't. Raises: Corrupt."""
        if result := read_if_there(self.result, Result):
            return JobState(key=key, phase=JobPhase.COMPLETED, challenger=result.challenger, progress=result.note)
        if failure := read_if_there(self.failure, Note):
            return JobState(key=key, phase=JobPhase.FAILED, failure=failure.text)
        if stopped := read_if_there(self.stopped, Note):
            return JobState(key=key, phase=JobPhase.STOPPED, progress=stopped.text)
        return None

    def running(self, key: str) -> JobState:
        """The state of a job whose lock is held."""
        progress = read_if_there(self.progress, Note)
        return JobState(key=key, phase=JobPhase.RUNNING, progress=progress.text if progress else "starting")

    def fail(self, reason: str) -> None:
        write_contract(self.failure, Note(text=reason))

    def last_words(self) -> str:
        """The line of the log that tells most about why a process died."""
        try:
            lines = self.log.read_bytes()[-_TAIL:].decode(errors="replace").split("\n")
        except FileNotFoundError:
            return "it said nothing"
        said = [line.strip() for line in lines if line.strip()]
        fatal = [line for line in said if line.startswith("Fatal Python error")]
        return f"its last words: {(fatal or said)[-1][:300]}" if said else "it said nothing"


def read_if_there(path: Path, model: type[M]) -> M | None:
    """Raises: Corrupt."""
    try:
        return read_json(path, model)
    except NotFound:
        return None


def take_lock(path: Path) -> int | None:
    """The file descriptor that holds the lock, or None where another process holds it. It dies with its last holder."""
    with platform_errors(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def bump(folder: JobFolder) -> int:
    """Count one more start; returns its number."""
    before = read_if_there(folder.attempt, Attempt) or Attempt()
    write_contract(folder.attempt, Attempt(number=before.number + 1))
    return before.number + 1


def write_note(path: Path, text: str) -> None:
    write_contract(path, Note(text=text))
