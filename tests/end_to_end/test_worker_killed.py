"""Workers die in the middle of everything, by SIGKILL and by SIGTERM, and the incident still ends promoted, trained once."""

import json
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from contracts.incident import Outcome
from tests.end_to_end.whole_system import ONBOARDED_DAY, System, day, endpoint_policy, started

pytestmark = pytest.mark.processes
ENDPOINTS = ("trained", "staged")
LONG = {"rounds": 5000, "learning_rate": 0.001, "num_leaves": 31, "min_rows_per_leaf": 10}
"""Some seconds of training, enough to be killed in, and a model good enough to be promoted."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """No training worker yet: a test starts it when it wants one."""
    endpoints = {"trained": endpoint_policy(**LONG), "staged": endpoint_policy()}
    without = ("monitor", "worker-training")
    with started(tmp_path_factory.mktemp("killed"), endpoints, without=without) as running:
        yield running


def _jobs(system: System, endpoint: str) -> list[Path]:
    """The folders of the endpoint's training jobs."""
    folders = [path.parent for path in (system.home / "jobs").glob("[!.]*/job.json")]
    return [folder for folder in folders if json.loads((folder / "job.json").read_text())["endpoint"] == endpoint]


def _training(system: System, endpoint: str) -> dict[str, psutil.Process]:
    """The processes that train for the endpoint, by job folder, once each has said who it is."""
    told = [folder / "process.json" for folder in _jobs(system, endpoint)]
    pids = {path.parent.name: json.loads(path.read_text())["pid"] for path in told if path.exists()}
    return {name: psutil.Process(pid) for name, pid in pids.items() if psutil.pid_exists(pid)}


def test_a_training_worker_killed_in_the_middle_is_replaced_and_each_job_runs_once(system: System) -> None:
    system.group.start(system.process("worker-training"))
    system.alarm("trained", "first", day(ONBOARDED_DAY), kind="onboarding")
    system.until(lambda: len(_training(system, "trained")) == 2, "two running jobs")
    system.group.stop_one("worker-training", signal.SIGKILL)
    running = _training(system, "trained")
    assert len(running) == 2
    assert all(process.is_running() for process in running.values()), "a job outlives the worker that started it"
    system.group.start(system.process("worker-training"))
    attempts: dict[str, int] = {}

    def promoted() -> bool:
        with suppress(FileNotFoundError):  # the incident's end takes the folders away
            attempts.update({f.name: json.loads((f / "attempt.json").read_text())["number"] for f in _jobs(system, "trained")})
        return bool(system.status("trained").state.history)

    system.until(promoted, "the end of the incident", 55)
    incident = system.status("trained").state.history[0]
    assert incident.outcome is Outcome.PROMOTED, incident.sentence
    assert attempts == dict.fromkeys(running, 1)
    assert not any(process.is_running() for process in running.values())
    assert system.temporary("trained") == []


def test_the_main_worker_dies_between_stages_and_is_drained_by_sigterm(system: System) -> None:
    """Killed while jobs wait for a training worker, which only then comes; drained before the next incident."""
    system.group.stop_one("worker-training", signal.SIGTERM)
    system.alarm("staged", "first", day(ONBOARDED_DAY), kind="onboarding")
    system.in_stage("staged", "train")
    system.group.stop_one("worker", signal.SIGKILL)
    system.group.start(system.process("worker-training"))
    system.until(lambda: len(_finished(system, "staged")) == 2, "two trained models without a main worker")
    system.group.start(system.process("worker"))
    incident = system.closed("staged", 1).state.history[0]
    assert incident.outcome is Outcome.PROMOTED, incident.sentence
    _check_drain(system)


def _finished(system: System, endpoint: str) -> list[Path]:
    return [folder for folder in _jobs(system, endpoint) if (folder / "result.json").exists()]


def _check_drain(system: System) -> None:
    """SIGTERM: the worker says that it drains, ends with 0, and the next one takes over where it was."""
    log = system.home / "logs" / "worker.log"
    told = len(log.read_text())
    running = psutil.Process(_pid(system, "worker"))
    running.send_signal(signal.SIGTERM)
    assert running.wait(40) == 0
    said = log.read_text()[told:]
    assert said.index("worker_draining") < said.index("worker_stopped")
    system.group.stop_one("worker")
    system.group.start(system.process("worker"))
    assert system.status("staged").stage == "idle"
    assert system.temporary("staged") == []


def _pid(system: System, name: str) -> int:
    return system.group.records.alive()[name].pid
