"""`python -m runtime.processes up` starts the whole system, `down` ends it, and both may be said twice."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from runtime.errors import Misconfigured
from runtime.local_run import embedded_address, on_embedded_server
from runtime.process_records import Records
from runtime.readiness import free_port

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["temporal-server", "worker", "worker-training", "bridge", "review", "serving", "monitor"]


class Home:
    """A home folder of its own with free ports, and the command line on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bridge, self.review, self.temporal, self.ui = free_port(), free_port(), free_port(), free_port()
        mine = ("HOMEOSTAT_", "TEMPORAL_", "OTEL_")
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(mine)} | {
            "HOMEOSTAT_HOME": str(folder),
            "HOMEOSTAT_BRIDGE_PORT": str(self.bridge),
            "HOMEOSTAT_BRIDGE_URL": f"http://127.0.0.1:{self.bridge}",
            "HOMEOSTAT_REVIEW_PORT": str(self.review),
            "HOMEOSTAT_REVIEW_URL": f"http://127.0.0.1:{self.review}",
            "HOMEOSTAT_UI_URL": f"http://127.0.0.1:{self.ui}",
            "TEMPORAL_ADDRESS": f"127.0.0.1:{self.temporal}",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "runtime.processes", *arguments]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments) as process:
            out, error = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, error)

    def fleet(self) -> Path:
        """The project's fleet with a port of our own, for a machine on which the usual one is taken."""
        path = self.folder / "fleet.yaml"
        path.write_text((ROOT / "fleet.yaml").read_text().replace("port: 8090", "port: 0"))
        return path

    def alive(self) -> dict[str, int]:
        return {name: record.pid for name, record in Records(self.folder).alive().items()}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "home")
    made.folder.mkdir()
    yield made
    made.run("down")


@pytest.mark.processes
def test_up_starts_everything_down_ends_it_and_both_may_be_said_twice(home: Home) -> None:
    fleet = str(home.fleet())
    first = home.run("up", "--fleet", fleet)
    assert first.returncode == 0, first.stdout + first.stderr
    assert [line.split(":")[0].strip() for line in first.stdout.splitlines() if "ready after" in line] == NAMES
    assert httpx.get(f"http://127.0.0.1:{home.bridge}/health").is_success
    assert httpx.get(f"http://127.0.0.1:{home.ui}").is_success
    assert httpx.get(f"http://127.0.0.1:{home.review}/health").json()["status"] == "ok"
    assert home.run("status").returncode == 0
    pids = home.alive()

    os.kill(pids["monitor"], signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pids["monitor"])], timeout=10)
    assert home.run("status").returncode == 1
    again = home.run("up", "--fleet", fleet)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("runs already") == len(NAMES) - 1
    assert {name: pid for name, pid in home.alive().items() if name != "monitor"} == {
        name: pid for name, pid in pids.items() if name != "monitor"
    }
    assert home.run("idle").returncode == 75

    down = home.run("down")
    assert [line.split(":")[0].strip() for line in down.stdout.splitlines() if ": ended" in line] == NAMES[::-1], down.stdout
    assert home.alive() == {}
    assert home.run("idle").returncode == 0
    assert "nothing is running" in home.run("down").stdout


def test_up_names_the_port_that_is_taken_before_it_starts_anything(home: Home) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", home.bridge))
        other.listen()
        done = home.run("up")
    assert done.returncode == 71
    assert f"port {home.bridge} is in use by another process" in done.stderr
    assert "HOMEOSTAT_BRIDGE_PORT" in done.stderr
    assert home.alive() == {}


def test_up_ends_the_others_when_one_can_not_start_and_shows_its_last_words(home: Home) -> None:
    (home.folder / "temporal" / "temporal.db").mkdir(parents=True)
    done = home.run("up")
    assert done.returncode == 70
    assert "temporal-server ended by itself" in done.stderr
    assert home.alive() == {}


def test_up_without_its_fleet_file_starts_nothing(home: Home) -> None:
    done = home.run("up", "--fleet", "no-such-fleet.yaml")
    assert done.returncode == 78
    assert "the fleet file no-such-fleet.yaml does not exist" in done.stderr
    assert home.alive() == {}


def test_an_interrupted_up_leaves_nothing_running(home: Home) -> None:
    process = home.start("up")
    assert process.stdout
    for line in process.stdout:
        if "temporal-server: ready" in line:
            process.send_signal(signal.SIGINT)
            break
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert home.alive() == {}
    shutil.rmtree(home.folder / "temporal")


def test_a_setting_that_can_not_be_used_is_named(home: Home) -> None:
    home.environment["HOMEOSTAT_BRIDGE_PORT"] = "eighty"
    done = home.run("status")
    home.environment["HOMEOSTAT_BRIDGE_PORT"] = str(home.bridge)
    assert done.returncode == 78
    assert "HOMEOSTAT_BRIDGE_PORT" in done.stderr


def test_the_embedded_server_is_found_whatever_is_configured_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_API_KEY", "secret")
    monkeypatch.setenv("TEMPORAL_PROFILE", "cloud")
    env = on_embedded_server("127.0.0.1:7233")
    assert env["TEMPORAL_API_KEY"] is None
    assert env["TEMPORAL_PROFILE"] is None
    assert env["TEMPORAL_ADDRESS"] == "127.0.0.1:7233"


def test_a_server_on_another_machine_is_not_what_up_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.example.com:7233")
    with pytest.raises(Misconfigured, match="another machine"):
        embedded_address()
