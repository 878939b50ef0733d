"""The locks pin everything by hash, agree with each other and with pyproject.toml, and name no host."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ["requirements.lock", "requirements-local.lock", "requirements-runtime.lock", "requirements-data.lock"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(lock: str) -> dict[str, set[str]]:
    """Each package's versions; more than one where they differ by platform."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", (ROOT / lock).read_text(), re.MULTILINE):
        found.setdefault(normal(name), set()).add(version)
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"--(index-url|extra-index-url|find-links|trusted-host)", text)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    blocks = re.split(r"^(?=\S+==)", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    assert blocks
    for block in blocks:
        assert "--hash=sha256:" in block, block.splitlines()[0]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_says_how_it_was_made_and_mentions_no_folder(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "#    make lock\n" in text
    assert not re.search(r"(-r|-c) /", text)


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("requirements.lock", ["local", "aws", "dev"]),
        ("requirements-local.lock", ["local", "dev"]),
        ("requirements-runtime.lock", ["local"]),
    ],
)
def test_all_that_the_project_asks_for_is_pinned(lock: str, extras: list[str]) -> None:
    wanted = names(PROJECT["dependencies"]).union(*(names(PROJECT["optional-dependencies"][extra]) for extra in extras))
    assert wanted <= pins(lock).keys()


@pytest.mark.parametrize("lock", ["requirements-local.lock", "requirements-runtime.lock"])
def test_the_smaller_locks_pin_what_the_whole_one_pins(lock: str) -> None:
    whole = pins("requirements.lock")
    for name, versions in pins(lock).items():
        assert versions <= whole[name], name


def test_the_image_gets_no_tools() -> None:
    assert not pins("requirements-runtime.lock").keys() & {"pytest", "mypy", "ruff", "uv", "hypothesis"}


def test_the_data_lock_holds_the_data_package_alone() -> None:
    asked = [line for line in (ROOT / "requirements-data.in").read_text().splitlines() if not line.startswith("#")]
    assert {f"{name}=={version}" for name, versions in pins("requirements-data.lock").items() for version in versions} == set(
        asked
    )
