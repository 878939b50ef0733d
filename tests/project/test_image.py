"""The container image holds what runs and nothing else."""

import ast
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
LINES = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = [line.split(maxsplit=1) for line in LINES.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
ALLOWED = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}


def instructions(name: str) -> list[str]:
    return [rest for word, rest in INSTRUCTIONS if word == name]


def test_every_stage_starts_from_the_same_pinned_python() -> None:
    bases = {base.split()[0] for base in instructions("FROM")}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases.pop())


def test_packages_come_from_a_lock_with_hashes() -> None:
    installs = [run for run in instructions("RUN") if "pip install" in run]
    assert len(installs) == 1
    assert "--require-hashes -r requirements-runtime.lock" in installs[0]
    assert (ROOT / "requirements-runtime.lock").is_file()


def test_the_openmp_library_of_lightgbm_is_there() -> None:
    assert any("libgomp1" in run for run in instructions("RUN"))


def test_it_runs_as_a_user_without_rights() -> None:
    user = instructions("USER")[-1]
    assert user.isdigit()
    assert int(user) > 0
    assert any(f"--uid {user}" in run for run in instructions("RUN"))
    assert INSTRUCTIONS.index(["USER", user]) < INSTRUCTIONS.index(["CMD", instructions("CMD")[0]])


def test_it_can_say_whether_it_is_healthy() -> None:
    assert "runtime.health" in instructions("HEALTHCHECK")[0]


def test_the_folders_of_the_volumes_belong_to_that_user() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    targets = [volume.split(":")[1] for volume in compose["services"]["worker"]["volumes"] if not volume.startswith(".")]
    workdir = instructions("WORKDIR")[0]
    made = next(run for run in instructions("RUN") if run.startswith("install -d -o homeostat"))
    for target in targets:
        assert Path(target).parent == Path(workdir)
        assert Path(target).name in made.split()


def test_every_room_that_a_process_imports_is_copied() -> None:
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    needed, seen = {"worker", "starter", "bridge", "platforms", "runtime"}, set[str]()
    while needed:
        name = needed.pop()
        seen.add(name)
        needed |= (_imports(name) & rooms) - seen
    files = {f"{name}.py" if (ROOT / f"{name}.py").exists() else name for name in seen}
    assert files <= ALLOWED, f"{sorted(files - ALLOWED)} would be missing in the image"


def _imports(name: str) -> set[str]:
    single = ROOT / f"{name}.py"
    found: set[str] = set()
    for path in [single] if single.exists() else (ROOT / name).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
            elif isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
    return found


def test_nothing_but_what_runs_is_sent_to_the_builder() -> None:
    first = next(line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#"))
    assert first == "*"
    assert not ALLOWED & {".env", ".git", "var", ".venv", "tests"}
    for name in ALLOWED:
        assert (ROOT / name).exists(), f"{name} is allowed and not there"
