"""The shadow bench's memory in S3.

bench/<endpoint>/states/000012.json           revisions of the state, the newest few
bench/<endpoint>/fits/<digest>/model.tar.gz   all members of one fit
bench/<endpoint>/parts/<sha256>               scored rows; an object is never changed
"""

import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from contracts.shadow import BenchState
from contracts.training import Challenger
from learning.artifact import FILE_NAME
from platforms.aws.objects import Objects, together
from platforms.aws.training_request import member
from platforms.bench_names import KEPT_REVISIONS, MIN_AGE, REVISION, named, part_of, part_uri
from platforms.errors import Conflict, Corrupt, NotFound
from platforms.files import checked_name, json_bytes

_ARCHIVE: Final = "model.tar.gz"


class AwsBenchStore:
    """One object may be shared by threads, one bucket by processes."""

    def __init__(self, objects: Objects, min_age: timedelta = MIN_AGE) -> None:
        self._objects = objects
        self._min_age = min_age

    def read(self, endpoint: str) -> BenchState | None:
        """Raises: Corrupt (never an older revision in its place)."""
        revisions = self._revisions(endpoint)
        return self._load(endpoint, revisions[-1]) if revisions else None

    def write(self, state: BenchState) -> BenchState:
        """Create the revision's object, or return what this key wrote before. Raises: Conflict, Corrupt, Unavailable."""
        revisions = self._revisions(state.endpoint)
        written = self._by_key(state, revisions)
        newest = revisions[-1] if revisions else 0
        if written is None and state.revision == newest + 1:
            if self._objects.create(self._state(state.endpoint, state.revision), json_bytes(state)):
                for old in revisions[: -KEPT_REVISIONS + 1]:
                    self._objects.remove(self._state(state.endpoint, old))
                return state
            revisions = self._revisions(state.endpoint)
            written, newest = self._by_key(state, revisions), revisions[-1]
        if written is None:
            raise Conflict(
                f"bench of {state.endpoint}: revision {state.revision} was to be written, the newest is {newest}. "
                "Read it, then take the turn again"
            )
        return written

    def keep_fit(self, fit: Challenger) -> str:
        """Raises: Corrupt, NotFound, Unavailable."""
        key = f"{self._folder(fit.model.endpoint)}fits/{checked_name(fit.model.digest, 'digest')}/{_ARCHIVE}"
        if not self._objects.there(key):
            self._objects.create(key, self._checked(fit))
        return self._objects.uri(key)

    def keep_part(self, endpoint: str, content: bytes) -> str:
        digest = sha256(content).hexdigest()
        self._objects.create(f"{self._folder(endpoint)}parts/{digest}", content)
        return part_uri(endpoint, digest)

    def read_part(self, uri: str, sha256: str) -> bytes:
        """Raises: NotFound, Corrupt, Invalid."""
        endpoint, digest = part_of(uri)
        key = f"{self._folder(endpoint)}parts/{digest}"
        content = self._objects.get(key)
        if _digest(content) != sha256:
            raise Corrupt(f"{self._objects.uri(key)} is not what was written: restore an earlier version of it")
        return content

    def prune(self, endpoint: str) -> int:
        """Raises: Corrupt (a revision can't be read, so nobody knows what it names)."""
        kept = {name for revision in self._revisions(endpoint) for name in named(self._load(endpoint, revision))}
        old = datetime.now(UTC) - self._min_age
        gone: set[str] = set()
        for kind in ("fits", "parts"):
            under = f"{self._folder(endpoint)}{kind}/"
            for found in list(self._objects.listed(under)):
                name = found.key.removeprefix(under).partition("/")[0]
                if name not in kept and found.changed <= old:
                    self._objects.remove(found.key)
                    gone.add(name)
        return len(gone)

    def _checked(self, fit: Challenger) -> bytes:
        """The archive, held to the digest of the model in it. Raises: NotFound, Corrupt."""
        try:
            packed = self._objects.get(self._objects.within(fit.artifact_uri))
        except NotFound:
            raise NotFound(f"no model at {fit.artifact_uri}: its job was removed. Train again") from None
        try:
            found = _digest(member(packed, FILE_NAME))
        except (KeyError, tarfile.TarError, OSError, EOFError) as error:
            raise Corrupt(f"the model {fit.artifact_uri} can't be read ({type(error).__name__}): train again") from None
        if found != fit.model.digest:
            raise Corrupt(f"the model {fit.artifact_uri} has digest {found[:12]}, wanted {fit.model.digest[:12]}: train again")
        return packed

    def _by_key(self, state: BenchState, revisions: Sequence[int]) -> BenchState | None:
        kept = together(lambda revision: self._load(state.endpoint, revision), revisions)
        return next((one for one in reversed(kept) if one.key == state.key), None)

    def _folder(self, endpoint: str) -> str:
        return f"bench/{checked_name(endpoint, 'endpoint')}/"

    def _state(self, endpoint: str, revision: int) -> str:
        return f"{self._folder(endpoint)}states/{revision:06d}.json"

    def _revisions(self, endpoint: str) -> list[int]:
        folder = f"{self._folder(endpoint)}states/"
        names = (key.removeprefix(folder) for key in self._objects.keys(folder))
        return sorted(int(match[1]) for name in names if (match := REVISION.fullmatch(name)))

    def _load(self, endpoint: str, revision: int) -> BenchState:
        key = self._state(endpoint, revision)
        state = self._objects.read(key, BenchState)
        if (state.endpoint, state.revision) != (endpoint, revision):
            where = self._objects.uri(key)
            raise Corrupt(f"{where}: it holds revision {state.revision} of {state.endpoint}. Restore an earlier version of it")
        return state


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
