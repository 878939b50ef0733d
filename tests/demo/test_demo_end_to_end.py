"""The whole demo with real processes, short: interrupted, then run again in the same folder to its end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("var")


def demo(var: Path, *words: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "HOMEOSTAT_HOME": str(var), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "demo", *words]
    return subprocess.Popen(
        command, cwd=PROJECT, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def still_running(var: Path) -> list[str]:
    """Everything that carries the mark of this demo's folder, or works in it."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HOMEOSTAT_GROUP") == str(var / "demo"):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def test_ctrl_c_ends_every_process(var: Path) -> None:
    with demo(var, "--weeks", "3") as running:
        assert running.stdout is not None
        assert any("Temporal UI" in line for line in running.stdout)
        assert still_running(var)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert still_running(var) == []


def test_a_short_run_after_it_starts_clean_and_leaves_its_report(var: Path) -> None:
    (var / "demo" / "left-by-an-earlier-run").write_text("x")
    with demo(var, "--weeks", "4", "--json") as running:
        printed, said = running.communicate(timeout=400)
    assert running.returncode in (0, 1), said
    summary = json.loads(printed.splitlines()[-1])
    home = var / "demo"
    assert json.loads((home / "summary.json").read_text()) == summary
    assert summary["weeks"] >= 4
    assert summary["failed_requests"] == 0, said
    assert summary["temporary_resources_left"] == 0
    assert summary["audit"]["verified"]
    assert summary["onboarding_not_counted"]["outcome"] == "promoted"
    assert summary["metrics"]["homeostat"]["accuracy"] > 0.8
    assert (home / "plot.svg").is_file()
    assert (home / "index.html").is_file()
    assert list((home / "manifests" / "bikes").glob("*.json"))
    assert not (home / "left-by-an-earlier-run").exists()
    assert still_running(var) == []


def test_a_folder_in_use_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine").write_text("x")
    with demo(tmp_path) as running:
        _, said = running.communicate(timeout=60)
    assert running.returncode == 78
    assert "not made by the demo" in said
