"""The shadow bench's memory on disk.

bench/<endpoint>/states/000012.json     revisions of the state, the newest few
bench/<endpoint>/fits/<digest>/         `model.json`: all members of one fit
bench/<endpoint>/parts/<sha256>         scored rows; a file is never changed

A crash leaves files that no revision names; `prune` takes them away once they are old enough to belong to nobody.
"""

import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from contracts.shadow import BenchState
from contracts.training import Challenger
from learning.artifact import FILE_NAME
from platforms.bench_names import KEPT_REVISIONS, MIN_AGE, REVISION, named, part_of, part_uri
from platforms.errors import Conflict, Corrupt
from platforms.files import (
    TEMPORARY,
    checked_name,
    create_exclusive,
    json_bytes,
    locked,
    platform_errors,
    read_bytes,
    read_json,
    write_atomic,
)
from platforms.local.staging import staged
from platforms.tabular.artifact_file import artifact_path, read_artifact


class LocalBenchStore:
    """Folders under `home/bench`; any number of objects and processes may share them."""

    def __init__(self, home: Path, min_age: timedelta = MIN_AGE) -> None:
        self._root = home.resolve() / "bench"
        self._min_age = min_age

    def read(self, endpoint: str) -> BenchState | None:
        """Raises: Corrupt (never an older revision in its place)."""
        revisions = self._revisions(endpoint)
        return self._load(endpoint, revisions[-1]) if revisions else None

    def write(self, state: BenchState) -> BenchState:
        """Create the revision's file, or return what this key wrote before. Raises: Conflict, Corrupt, Exhausted."""
        with locked(self._folder(state.endpoint) / "write.lock"):
            revisions = self._revisions(state.endpoint)
            kept = [self._load(state.endpoint, revision) for revision in revisions]
            written = next((one for one in reversed(kept) if one.key == state.key), None)
            if written is not None:
                return written
            newest = revisions[-1] if revisions else 0
            path = self._state(state.endpoint, state.revision)
            if state.revision != newest + 1 or not create_exclusive(path, json_bytes(state)):
                raise Conflict(
                    f"bench of {state.endpoint}: revision {state.revision} was to be written, the newest is {newest}. "
                    "Read it, then take the turn again"
                )
            for old in revisions[: -KEPT_REVISIONS + 1]:
                self._state(state.endpoint, old).unlink(missing_ok=True)
        return state

    def keep_fit(self, fit: Challenger) -> str:
        """Raises: Corrupt, NotFound, Exhausted."""
        folder = self._folder(fit.model.endpoint) / "fits" / checked_name(fit.model.digest, "digest")
        if not folder.is_dir():
            content = read_artifact(artifact_path(fit.artifact_uri), fit.model.digest)
            with staged(folder) as staging:
                write_atomic(staging / FILE_NAME, content)
        return str(folder / FILE_NAME)

    def keep_part(self, endpoint: str, content: bytes) -> str:
        digest = sha256(content).hexdigest()
        create_exclusive(self._folder(endpoint) / "parts" / digest, content)
        return part_uri(endpoint, digest)

    def read_part(self, uri: str, sha256: str) -> bytes:
        """Raises: NotFound, Corrupt."""
        endpoint, digest = part_of(uri)
        path = self._folder(endpoint) / "parts" / digest
        content = read_bytes(path)
        if _digest(content) != sha256:
            raise Corrupt(f"{path} is not what was written: restore it from a backup, or remove bench/{endpoint} to begin anew")
        return content

    def prune(self, endpoint: str) -> int:
        """Raises: Corrupt (a revision can't be read, so nobody knows what it names)."""
        with locked(self._folder(endpoint) / "write.lock"):
            kept = {name for revision in self._revisions(endpoint) for name in named(self._load(endpoint, revision))}
            old = [path for path in self._files(endpoint) if path.name not in kept and self._is_old(path)]
            for path in old:
                _removed(path)
        return len(old)

    def _is_old(self, path: Path) -> bool:
        return time.time() - path.stat().st_mtime >= self._min_age.total_seconds()

    def _files(self, endpoint: str) -> Iterator[Path]:
        for kind in ("fits", "parts"):
            folder = self._folder(endpoint) / kind
            with platform_errors(folder):
                yield from sorted(p for p in folder.iterdir() if not p.name.startswith(TEMPORARY)) if folder.is_dir() else ()

    def _folder(self, endpoint: str) -> Path:
        return self._root / checked_name(endpoint, "endpoint")

    def _state(self, endpoint: str, revision: int) -> Path:
        return self._folder(endpoint) / "states" / f"{revision:06d}.json"

    def _revisions(self, endpoint: str) -> list[int]:
        folder = self._folder(endpoint) / "states"
        with platform_errors(folder):
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted(int(match[1]) for name in names if (match := REVISION.fullmatch(name)))

    def _load(self, endpoint: str, revision: int) -> BenchState:
        path = self._state(endpoint, revision)
        state = read_json(path, BenchState)
        if (state.endpoint, state.revision) != (endpoint, revision):
            raise Corrupt(f"{path}: it holds revision {state.revision} of {state.endpoint}. Restore it from a backup")
        return state


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def _removed(path: Path) -> None:
    """Renamed first, so that nobody finds half of a folder."""
    trash = path.parent / f"{TEMPORARY}trash-{token_hex(8)}"
    with platform_errors(path):
        path.rename(trash)
        shutil.rmtree(trash) if trash.is_dir() else trash.unlink()
