"""What make offers, and that it needs nothing but Python, make and git."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = ["help", "demo", "test", "check", "up", "down", "bench", "lock", "clean"]


def make(*arguments: str, where: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person would: without what the make that runs these tests put into the environment."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=where, capture_output=True, text=True, timeout=60, check=False, env=inherited | environment
    )


def copy_of_the_setup(folder: Path) -> Path:
    """A folder with all that the first step of every target touches."""
    (folder / "deploy").mkdir(parents=True)
    for name in ("Makefile", "deploy/environment.py", "requirements-local.lock", "requirements-data.lock"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_help_is_the_default_and_lists_exactly_the_targets() -> None:
    plain, asked = make(), make("help")
    assert plain.returncode == 0
    assert plain.stdout == asked.stdout
    assert re.findall(r"^  make (\w+) +\S", plain.stdout, re.MULTILINE) == TARGETS


def test_help_needs_no_python() -> None:
    assert make("help", PATH="/nowhere:/usr/bin:/bin").returncode == 0
    assert make("--dry-run", "help").stdout.count("python") == 0


@pytest.mark.parametrize("target", [name for name in TARGETS if name not in ("help", "clean")])
def test_each_target_sets_up_its_environment_itself(target: str) -> None:
    planned = make("--dry-run", target).stdout
    assert "deploy/environment.py" in planned
    assert planned.index("deploy/environment.py") < planned.index(".venv/bin/", planned.index("exit 1"))


@pytest.mark.parametrize("target", [name for name in TARGETS if name != "help"])
def test_no_target_uses_a_python_from_outside(target: str) -> None:
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n|.*\\\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe
    spoken = re.compile(r'"[^"]*"|-m \w+')
    commands = spoken.sub("", recipe[1])
    assert not re.search(r"(?<![\w/])(python3?|pip|pytest|ruff|mypy|uv|lint-imports)\b", commands), commands


def test_the_demo_takes_its_reviewer_and_its_platform() -> None:
    last = make("--dry-run", "demo", "REVIEW=me", "PLATFORM=local").stdout.splitlines()[-1]
    assert last == '.venv/bin/python -m demo --review "me" --platform "local"'
    assert make("--dry-run", "demo").stdout.splitlines()[-1].strip() == ".venv/bin/python -m demo"


def test_without_a_right_python_it_says_what_to_install(tmp_path: Path) -> None:
    folder, programs = copy_of_the_setup(tmp_path / "project"), tmp_path / "bin"
    programs.mkdir()
    for name in ("make", "sh", "sed", "test", "echo"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    old = programs / "python3"
    old.write_text('#!/bin/sh\ntest "$1" = -V && echo "Python 3.8.10" && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = make("test", where=folder, PATH=str(programs))
    assert done.returncode != 0
    assert "homeostat needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "python3 is Python 3.8.10" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr
    assert not (folder / ".venv").exists()


def test_a_python_that_is_named_and_wrong_is_not_replaced_by_another(tmp_path: Path) -> None:
    done = make("test", "PYTHON=/no/such/python", where=copy_of_the_setup(tmp_path))
    assert done.returncode != 0
    assert "PYTHON=/path/to/python3.12" in done.stderr


def test_clean_refuses_while_something_runs_and_says_how_to_end_it() -> None:
    planned = make("--dry-run", "clean").stdout
    assert planned.index("runtime.processes idle") < planned.index("rm -rf .venv var")


def test_continuous_integration_runs_the_tests_as_a_person_does() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    assert "exec make --no-print-directory test" in text
    subprocess.run(["bash", "-n", str(script)], check=True)
