"""deploy/environment.py builds .venv once, again when the locks change, and goes on where it was interrupted."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTHING = "# nothing\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The module in a project of its own whose locks pin nothing, with the environment that it really built."""
    folder = tmp_path_factory.mktemp("project") / "with a space"
    (folder / "deploy").mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "environment.py", folder / "deploy")
    for name in ("requirements-local.lock", "requirements-data.lock"):
        (folder / name).write_text(NOTHING)
    spec = importlib.util.spec_from_file_location("environment_under_test", folder / "deploy" / "environment.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.__dict__["real_check"] = module.check_openmp
    module.__dict__["check_openmp"] = lambda: None  # an empty environment has no LightGBM
    assert module.main() == 0
    return module


@pytest.fixture
def environment(built: ModuleType) -> Iterator[ModuleType]:
    """As built; whatever a test does to its lock and its stamp is undone."""
    stamp = built.STAMP.read_text()
    yield built
    built.LOCK.write_text(NOTHING)
    built.STAMP.write_text(stamp)


def test_what_is_ready_is_left_alone_without_a_word(environment: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert environment.ready()
    assert environment.main() == 0
    assert capsys.readouterr().out == ""


def test_another_lock_makes_it_build_anew(environment: ModuleType) -> None:
    environment.LOCK.write_text("# something else\n")
    assert not environment.ready()
    assert not environment.usable(), "what the old lock brought must not stay"


def test_an_interrupted_build_goes_on(environment: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    environment.STAMP.unlink()
    assert environment.main() == 0
    said = capsys.readouterr().out
    assert "Creating" not in said
    assert "Installing 0 pinned packages" in said
    assert environment.ready()


def test_one_that_lost_its_python_is_built_anew(environment: ModuleType) -> None:
    away = environment.PYTHON.with_suffix(".away")
    environment.PYTHON.rename(away)
    assert not environment.ready()
    environment.STAMP.unlink()
    assert not environment.usable()
    away.rename(environment.PYTHON)


def test_a_failed_installation_leaves_no_stamp(environment: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    environment.STAMP.unlink()
    environment.LOCK.write_text("/no/such/package\n")
    assert environment.main() == 1
    assert "pip could not install the packages" in capfd.readouterr().err
    assert not environment.STAMP.exists()


def test_a_package_without_a_hash_is_refused(environment: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    environment.STAMP.unlink()
    environment.LOCK.write_text("pip==1.0\n")
    assert environment.main() == 1
    assert "hashes are required" in capfd.readouterr().err.lower()
    assert not environment.ready()


def test_a_missing_openmp_library_is_named_with_its_package(
    environment: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho 'OSError: libgomp.so.1: cannot open shared object file' >&2\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr(environment, "PYTHON", bare)
    with pytest.raises(environment.SetupFailed, match=r"(?s)libgomp.so.1.*apt-get install libgomp1"):
        environment.real_check()
