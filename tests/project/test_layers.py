"""What import-linter can't see: single files, the reasons of silence, and words that don't belong here."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
TRACKED = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
ROOMS = {path.parent.name for path in ROOT.glob("*/__init__.py")}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, at its top or inside."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize(("script", "lines", "rooms"), [("worker.py", 60, {"runtime"}), ("starter.py", 120, {"console"})])
def test_the_entry_points_stay_thin(script: str, lines: int, rooms: set[str]) -> None:
    path = ROOT / script
    assert len(path.read_text().splitlines()) <= lines
    assert {name.split(".")[0] for name in imports(path)} & ROOMS <= rooms


def test_the_entry_points_do_nothing_when_imported() -> None:
    for script in ("worker.py", "starter.py"):
        last = ast.parse((ROOT / script).read_text()).body[-1]
        assert isinstance(last, ast.If)
        assert "__main__" in ast.unparse(last.test)


def test_every_room_that_is_shipped_is_held_by_the_layers() -> None:
    assert set(LINTER["root_packages"]) == ROOMS - {"demo", "bench"}


@pytest.mark.parametrize("room", ["contracts", "policies", "workflows"])
def test_the_clock_is_read_by_nobody_who_decides(room: str) -> None:
    """Time is an argument of a policy, and `workflow.now()` in a workflow."""
    for path in (ROOT / room).rglob("*.py"):
        calls = re.findall(r"\b(?:datetime\.(?:now|utcnow|today)|time\.(?:time|monotonic|sleep))\(", path.read_text())
        assert not calls, f"{path.relative_to(ROOT)}: {calls}"


def test_only_the_wiring_names_an_adapter() -> None:
    for path in (ROOT / "runtime").glob("*.py"):
        if path.name != "wiring.py":
            assert not [name for name in imports(path) if name.startswith(("platforms.local", "platforms.aws"))], path.name


def test_the_demo_reaches_the_loop_only_through_its_doors() -> None:
    """It proves something only while it uses what production uses."""
    for path in (ROOT / "demo").glob("*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & {"workflows", "activities"}, path.name


@pytest.mark.parametrize("place", ["tests"])
def test_no_package_marker_stands_between_the_tests_and_the_rooms(place: str) -> None:
    assert not list((ROOT / place).rglob("__init__.py"))


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})


def texts() -> list[tuple[str, str]]:
    found = []
    for name in TRACKED:
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            found.append((name, content.decode()))
    return found


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    machine = re.compile(r"(?<![\w.])/(?:home|Users|root|work|mnt|media)/(?!homeostat\b)\w+")
    for name, text in texts():
        assert not machine.search(text), f"{name}: {machine.findall(text)[:3]}"


def test_every_text_ends_with_one_newline() -> None:
    for name, text in texts():
        assert not text or (text.endswith("\n") and not text.endswith("\n\n")) or name.startswith("tests/replay/histories/"), name


def test_nothing_is_left_half_done() -> None:
    unfinished = re.compile(r"\b(?:TODO|FIXME|XXX|NotImplemented(?:Error)?)\b")
    for name, text in texts():
        if name.endswith(".py") and name != f"tests/project/{Path(__file__).name}":
            assert not unfinished.search(text), name


def test_no_failure_is_swallowed_without_a_word() -> None:
    for name in TRACKED:
        if not name.endswith(".py") or name.startswith("tests/") or not (ROOT / name).exists():
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{name}:{node.lineno} catches everything"
                silent = len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
                assert not silent, f"{name}:{node.lineno} passes over {ast.unparse(node.type)}; use contextlib.suppress or act"


def test_the_licence_is_the_whole_of_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert "\n   9. Accepting Warranty or Additional Liability." in text


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert text.startswith("# Changelog\n")
    assert re.search(r"^## \[", text, re.MULTILINE)
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
