"""What only the embedded trainer can show: processes that die, are orphaned, race each other or eat all memory."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from contracts.snapshot import Snapshot
from contracts.training import JobPhase, TrainChallenger
from platforms.errors import Exhausted, Unavailable
from platforms.files import key_folder, read_json, write_atomic
from platforms.local import trainer as trainer_module
from platforms.local.feature_store import LocalFeatureStore
from platforms.local.job_folder import Attempt, JobFolder, JobProcess
from platforms.local.trainer import MAX_ATTEMPTS, LocalTrainer
from tests.platforms.data_fixtures import DATA, ROOT, at, finished, hourly, job, long_job, take, trained, until

pytestmark = pytest.mark.processes

START = """
import sys
from pathlib import Path
from contracts.training import TrainChallenger
from platforms.local.trainer import LocalTrainer
print(LocalTrainer(Path(sys.argv[1])).start(TrainChallenger.model_validate_json(sys.argv[2])).phase)
"""

HOG = """
import sys
import numpy as np
from platforms.local import train_job
from platforms.tabular import fit
fit.train = lambda job, say: np.empty(1 << 40, np.uint8)
sys.exit(train_job.main([sys.argv[1]]))
"""


@pytest.fixture
def trainer(home: Path) -> Iterator[LocalTrainer]:
    trainer = LocalTrainer(home)
    yield trainer
    for folder in (home / "jobs").glob("*"):
        if folder.is_dir():
            trainer.stop(JobFolder(folder).job().key)


@pytest.fixture
def snapshot(home: Path) -> Snapshot:
    store = LocalFeatureStore(home)
    store.append("bikes", hourly(60))
    return store.snapshot(take(horizons=("all",)))


def _folder(home: Path, wanted: TrainChallenger) -> JobFolder:
    return JobFolder(key_folder(home / "jobs", wanted.key))


def _process(home: Path, wanted: TrainChallenger) -> psutil.Process:
    folder = _folder(home, wanted)
    until(folder.process.exists)
    return psutil.Process(read_json(folder.process, JobProcess).pid)


def _kill(trainer: LocalTrainer, home: Path, wanted: TrainChallenger) -> None:
    os.kill(_process(home, wanted).pid, signal.SIGKILL)
    until(lambda: trainer.running() == 0)


def _elsewhere(home: Path, wanted: TrainChallenger) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", START, str(home), wanted.model_dump_json()]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_killed_process_is_noticed_and_started_again_under_its_key(
    trainer: LocalTrainer, home: Path, snapshot: Snapshot
) -> None:
    wanted = long_job(snapshot)
    trainer.start(wanted)
    _kill(trainer, home, wanted)
    with pytest.raises(Unavailable, match=r"gone without a result.*Start it again"):
        trainer.describe(wanted.key)
    assert trainer.start(wanted).phase is JobPhase.RUNNING
    assert trainer.running() == 1
    assert len(list((home / "jobs").iterdir())) == 1
    assert read_json(_folder(home, wanted).attempt, Attempt).number == 2


def test_killed_between_model_and_result_the_same_model_comes_again(
    trainer: LocalTrainer, home: Path, snapshot: Snapshot
) -> None:
    wanted = job(snapshot)
    first = trained(trainer, wanted)
    _folder(home, wanted).result.unlink()
    assert trained(trainer, wanted).model == first.model


def test_a_crash_in_a_library_leaves_its_last_words(trainer: LocalTrainer, home: Path, snapshot: Snapshot) -> None:
    wanted = long_job(snapshot)
    trainer.start(wanted)
    os.kill(_process(home, wanted).pid, signal.SIGSEGV)
    until(lambda: trainer.running() == 0)
    with pytest.raises(Unavailable, match="its last words: Fatal Python error: Segmentation fault"):
        trainer.describe(wanted.key)


def test_a_process_that_dies_again_and_again_is_given_up(trainer: LocalTrainer, home: Path, snapshot: Snapshot) -> None:
    wanted = long_job(snapshot)
    trainer.start(wanted)
    _kill(trainer, home, wanted)
    folder = _folder(home, wanted)
    write_atomic(folder.attempt, Attempt(number=MAX_ATTEMPTS).model_dump_json().encode())
    folder.log.write_text("Traceback\nSegmentation fault\n")
    state = trainer.start(wanted)
    assert state.phase is JobPhase.FAILED
    assert state.failure == "the training process died 5 times without a result, its last words: Segmentation fault"


def test_a_job_outlives_its_worker_and_is_adopted_by_another_process(
    trainer: LocalTrainer, home: Path, snapshot: Snapshot
) -> None:
    wanted = long_job(snapshot)
    with _elsewhere(home, wanted) as worker:
        assert worker.communicate()[0] == "running\n"
    pid = _process(home, wanted).pid
    assert trainer.start(wanted).phase is JobPhase.RUNNING
    assert trainer.describe(wanted.key).phase is JobPhase.RUNNING
    assert read_json(_folder(home, wanted).process, JobProcess).pid == pid
    trainer.stop(wanted.key)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_processes_that_start_one_job_at_once_start_it_once(trainer: LocalTrainer, home: Path, snapshot: Snapshot) -> None:
    wanted = long_job(snapshot)
    workers = [_elsewhere(home, wanted) for _ in range(3)]
    assert [worker.communicate()[0] for worker in workers] == ["running\n"] * 3
    assert read_json(_folder(home, wanted).attempt, Attempt).number == 1
    assert trainer.running() == 1


def test_a_second_process_on_a_job_leaves_at_once(trainer: LocalTrainer, home: Path, snapshot: Snapshot) -> None:
    wanted = long_job(snapshot)
    trainer.start(wanted)
    pid = _process(home, wanted).pid
    folder = _folder(home, wanted)
    second = [sys.executable, "-m", "platforms.local.train_job", str(folder.path)]
    ran = subprocess.run(second, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "another process works on this job" in ran.stderr
    assert read_json(folder.process, JobProcess).pid == pid


def test_stop_ends_the_process_and_leaves_no_zombie(trainer: LocalTrainer, home: Path, snapshot: Snapshot) -> None:
    wanted = long_job(snapshot)
    trainer.start(wanted)
    process = _process(home, wanted)
    trainer.stop(wanted.key)
    assert trainer.running() == 0
    until(lambda: process not in psutil.Process().children())


def test_stop_never_hits_a_process_that_got_the_same_id(trainer: LocalTrainer, home: Path, snapshot: Snapshot) -> None:
    wanted = long_job(snapshot)
    trainer.start(wanted)
    child = _process(home, wanted)
    folder = _folder(home, wanted)
    me = JobProcess(pid=os.getpid(), started=1.0)
    write_atomic(folder.process, me.model_dump_json().encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer_module, "_STOP_SECONDS", 0.5)
        with pytest.raises(Unavailable, match="did not end"):
            trainer.stop(wanted.key)
    child.kill()
    until(lambda: trainer.running() == 0)


def test_a_job_that_needs_too_much_memory_fails_and_names_the_limit(trainer: LocalTrainer, snapshot: Snapshot) -> None:
    state = finished(trainer, job(snapshot, max_memory_mb=64))
    assert state.phase is JobPhase.FAILED
    assert state.failure == "training needed more than 64 MB of memory: raise max_memory_mb, or shorten the horizons"


def test_memory_that_runs_out_while_training_is_reported_too(trainer: LocalTrainer, home: Path) -> None:
    rows = hourly(100)
    for n in range(30):
        rows = rows.append_column(f"wide{n}", rows["temp"])
    store = LocalFeatureStore(home)
    store.append("bikes", rows)
    features = ("hour", "temp", *(f"wide{n}" for n in range(30)))
    frozen = store.snapshot(take(data=DATA.model_copy(update={"features": features}), as_of=at(100), horizons=("all",)))
    wanted = long_job(frozen, features=features, max_memory_mb=170)
    state = finished(trainer, wanted)
    assert "more than 170 MB of memory" in (state.failure or ""), state
    assert "training member all" in _folder(home, wanted).progress.read_text()


def test_one_huge_allocation_fails_at_once_and_names_the_limit(trainer: LocalTrainer, home: Path, snapshot: Snapshot) -> None:
    wanted = job(snapshot, max_memory_mb=500)
    folder = trainer._adopted(wanted)
    subprocess.run([sys.executable, "-c", HOG, str(folder.path)], cwd=ROOT, check=True, timeout=60)
    assert trainer.describe(wanted.key).failure == (
        "training needed more than 500 MB of memory: raise max_memory_mb, or shorten the horizons"
    )


def test_no_token_reaches_the_training_process(
    trainer: LocalTrainer, home: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEOSTAT_BRIDGE_TOKEN", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    wanted = long_job(snapshot)
    trainer.start(wanted)
    process = _process(home, wanted)
    assert "hunter2" not in str(process.environ())
    assert "hunter2" not in str(process.cmdline())


def test_a_full_disk_starts_nothing_and_the_next_start_works(
    trainer: LocalTrainer, home: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(Exhausted, match="Free some space"):
            trainer.start(job(snapshot))
    assert trainer.running() == 0
    assert not list((home / "jobs").iterdir())
    assert finished(trainer, job(snapshot)).phase is JobPhase.COMPLETED


def test_what_a_job_leaves_carries_its_tags(trainer: LocalTrainer, home: Path, snapshot: Snapshot) -> None:
    wanted = long_job(snapshot)
    trainer.start(wanted)
    tags = (_folder(home, wanted).path / "tags.json").read_text()
    assert '"cost_center": "m-1"' in tags
    assert '"kind": "training job"' in tags
