"""Manifests as one file per revision; a revision, once written, is never changed.

`current.json` beside them is a copy of the newest, for people to look at. The numbered files are what counts.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from contracts.rollout import Manifest
from platforms.errors import Conflict, Corrupt
from platforms.files import (
    checked_name,
    create_exclusive,
    json_bytes,
    locked,
    platform_errors,
    read_bytes,
    read_json,
    write_atomic,
)

_REVISION = re.compile(r"(\d{6,})\.json")


class LocalManifests:
    def __init__(self, home: Path) -> None:
        self._root = home / "manifests"

    def read(self, endpoint: str) -> Manifest | None:
        """The newest revision; never an older one in its place. Raises: Corrupt."""
        revisions = self._revisions(endpoint)
        return self._load(endpoint, revisions[-1]) if revisions else None

    def history(self, endpoint: str) -> Sequence[Manifest]:
        """Raises: Corrupt (a revision is missing or can't be read)."""
        revisions = self._revisions(endpoint)
        missing = sorted(set(range(1, len(revisions) + 1)) - set(revisions))
        if missing:
            raise Corrupt(f"{self._folder(endpoint)}: revision {missing[0]} is missing. Restore it from a backup")
        return [self._load(endpoint, revision) for revision in revisions]

    def write(self, manifest: Manifest) -> Manifest:
        """Create the revision's file, or return what this key wrote before. Raises: Conflict, Corrupt, Exhausted."""
        folder = self._folder(manifest.endpoint)
        with locked(folder / "write.lock"):
            history = self.history(manifest.endpoint)
            written = next((m for m in reversed(history) if m.key == manifest.key), None)
            if written is None:
                written = self._create(manifest, history[-1].revision if history else 0)
                history = [*history, written]
            self._show(folder, history[-1])
        if written.champion != manifest.champion:
            raise Conflict(
                f"manifest key {manifest.key!r} wrote revision {written.revision} with champion {written.champion.digest[:12]}, "
                f"not {manifest.champion.digest[:12]}. Use a new key"
            )
        return written

    def _create(self, manifest: Manifest, newest: int) -> Manifest:
        path = self._path(manifest.endpoint, manifest.revision)
        if manifest.revision != newest + 1 or not create_exclusive(path, json_bytes(manifest)):
            raise Conflict(
                f"manifest of {manifest.endpoint}: revision {manifest.revision} was to be written, the newest is {newest}. "
                f"Read it, then decide again"
            )
        return manifest

    @staticmethod
    def _show(folder: Path, newest: Manifest) -> None:
        """Bring the copy up to date, also when a crash had kept it behind."""
        path = folder / "current.json"
        content = json_bytes(newest)
        if not path.exists() or read_bytes(path) != content:
            write_atomic(path, content)

    def _folder(self, endpoint: str) -> Path:
        return self._root / checked_name(endpoint, "endpoint")

    def _path(self, endpoint: str, revision: int) -> Path:
        return self._folder(endpoint) / f"{revision:06d}.json"

    def _revisions(self, endpoint: str) -> list[int]:
        folder = self._folder(endpoint)
        with platform_errors(folder):
            names = [path.name for path in folder.iterdir()] if folder.exists() else []
        return sorted(int(match[1]) for name in names if (match := _REVISION.fullmatch(name)))

    def _load(self, endpoint: str, revision: int) -> Manifest:
        path = self._path(endpoint, revision)
        manifest = read_json(path, Manifest)
        if (manifest.endpoint, manifest.revision) != (endpoint, revision):
            raise Corrupt(f"{path}: it holds revision {manifest.revision} of {manifest.endpoint}. Restore it from a backup")
        return manifest
