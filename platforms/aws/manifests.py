"""Manifests as one object per revision, `manifests/<endpoint>/000001.json`; a revision, once written, is never changed.

Two writers of one revision are told apart by S3's `IfNoneMatch`, so nothing is locked.
"""

import re
from collections.abc import Sequence
from typing import Final

from contracts.rollout import Manifest
from platforms.aws.objects import Objects, together
from platforms.errors import Conflict, Corrupt
from platforms.files import checked_name, json_bytes

_REVISION: Final = re.compile(r"(\d{6,})\.json")


class AwsManifests:
    """One object may be shared by threads, one bucket by processes."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._known: dict[str, Manifest] = {}
        """Revisions never change, so each is read once."""

    def read(self, endpoint: str) -> Manifest | None:
        """The newest revision; never an older one in its place. Raises: Corrupt."""
        revisions = self._revisions(endpoint)
        return self._load(endpoint, revisions[-1]) if revisions else None

    def history(self, endpoint: str) -> Sequence[Manifest]:
        """Raises: Corrupt (a revision is missing or can't be read)."""
        revisions = self._revisions(endpoint)
        missing = sorted(set(range(1, len(revisions) + 1)) - set(revisions))
        if missing:
            where = self._objects.uri(self._folder(endpoint))
            raise Corrupt(f"{where}: revision {missing[0]} is missing. Restore an earlier version of the object")
        return together(lambda revision: self._load(endpoint, revision), revisions)

    def write(self, manifest: Manifest) -> Manifest:
        """Create the revision's object, or return what this key wrote before. Raises: Conflict, Corrupt, Unavailable."""
        content = json_bytes(manifest)
        history = self.history(manifest.endpoint)
        written = _by_key(history, manifest)
        newest = history[-1].revision if history else 0
        if written is None and manifest.revision == newest + 1:
            if self._objects.create(self._key(manifest.endpoint, manifest.revision), content):
                return manifest
            history = self.history(manifest.endpoint)
            written, newest = _by_key(history, manifest), history[-1].revision
        if written is None:
            raise Conflict(
                f"manifest of {manifest.endpoint}: revision {manifest.revision} was to be written, the newest is {newest}. "
                f"Read it, then decide again"
            )
        return written

    def _folder(self, endpoint: str) -> str:
        return f"manifests/{checked_name(endpoint, 'endpoint')}/"

    def _key(self, endpoint: str, revision: int) -> str:
        return f"{self._folder(endpoint)}{revision:06d}.json"

    def _revisions(self, endpoint: str) -> list[int]:
        folder = self._folder(endpoint)
        names = (key.removeprefix(folder) for key in self._objects.keys(folder))
        return sorted(int(match[1]) for name in names if (match := _REVISION.fullmatch(name)))

    def _load(self, endpoint: str, revision: int) -> Manifest:
        key = self._key(endpoint, revision)
        if key in self._known:
            return self._known[key]
        manifest = self._objects.read(key, Manifest)
        if (manifest.endpoint, manifest.revision) != (endpoint, revision):
            raise Corrupt(
                f"{self._objects.uri(key)}: it holds revision {manifest.revision} of {manifest.endpoint}. "
                f"Restore an earlier version of the object"
            )
        self._known[key] = manifest
        return manifest


def _by_key(history: Sequence[Manifest], wanted: Manifest) -> Manifest | None:
    """What the key wrote. Raises: Conflict (it wrote another champion)."""
    written = next((known for known in reversed(history) if known.key == wanted.key), None)
    if written is not None and written.champion != wanted.champion:
        raise Conflict(
            f"manifest key {wanted.key!r} wrote revision {written.revision} with champion {written.champion.digest[:12]}, "
            f"not {wanted.champion.digest[:12]}. Use a new key"
        )
    return written
