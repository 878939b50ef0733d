"""What is temporary on disk: folders of jobs and snapshots, and what crashed writes left behind.

A folder is renamed before it is deleted, so that nobody finds half of one. Nothing outside the home is touched, and no
symbolic link is followed.
"""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from stat import S_ISDIR

from contracts.inventory import Removal, Resource
from contracts.training import Tags
from platforms.errors import Corrupt, Invalid, NotFound, PlatformError, Unavailable
from platforms.files import TEMPORARY, fsync_folder, platform_errors, read_json
from platforms.local.vault import SUFFIX, VAULT
from platforms.tagged import TAGS, Tagged

TAGGED = ("jobs", "snapshots")
"""Where each folder is temporary and carries its tags."""

LEFTOVER = "leftover"
"""Kind of what a crash left: nobody knows any more whose it was."""

MIN_AGE = timedelta(hours=1)
"""What has no tags and changed more recently may still be in the making."""

EXPIRED = timedelta(days=7)
"""A ticket of the decision vault is good for a day at most; so long it is kept for whoever wonders."""

TICKET = "ticket"
"""Kind of an expired one."""

PATIENCE = timedelta(seconds=0.5)
"""How long a job's lock is waited for before the job counts as running."""

_PLACES = (
    *TAGGED,
    "registry/*",
    "evidence/*/*",
    "manifests/*",
    "outbox",
    "features/*/day=*",
    "capture/*/day=*",
    "bench/*/*",
    "vault",
    "identity",
    "identity/used",
)
_UNKNOWN = Tags(endpoint="unknown", incident="", team="unknown", cost_center="unknown")
_ID = re.compile(
    rf"(?:{'|'.join(TAGGED)})/[0-9a-f]{{16}}"
    r"|vault/[0-9a-f]{64}\.jwt"
    rf"|[a-z]+(?:/[A-Za-z0-9][A-Za-z0-9._=-]*){{0,3}}/{re.escape(TEMPORARY)}[A-Za-z0-9._-]+"
)
_KEY = re.compile(r"[0-9a-f]{16}")


class LocalInventory:
    def __init__(self, home: Path) -> None:
        self._home = home

    def list(self, tags: Tags | None = None) -> Sequence[Resource]:
        """Those of one endpoint's incident, or all; leftovers belong to nobody and stand only among all."""
        tagged = [resource for folder in self._folders() if (resource := self._tagged(folder)) is not None]
        if tags is not None:
            return [r for r in tagged if (r.tags.endpoint, r.tags.incident) == (tags.endpoint, tags.incident)]
        known = {resource.id for resource in tagged}
        return [*tagged, *(left for left in self._leftovers() if left.id not in known), *self._expired()]

    def remove(self, resources: Sequence[Resource]) -> Removal:
        """What runs, what is a link and what can't be deleted is reported with the reason; the rest is gone."""
        removed, failed = [], []
        for resource in resources:
            try:
                self._remove(resource.id)
                removed.append(resource)
            except PlatformError as error:
                failed.append(f"{resource.id[:200]}: {error}")
        return Removal(removed=tuple(removed), failed=tuple(failed))

    def _folders(self) -> Sequence[Path]:
        """The folders of jobs and snapshots that have their final names."""
        found = [path for place in TAGGED for path in _entries(self._home / place) if _KEY.fullmatch(path.name)]
        return [path for path in found if path.is_dir() and not path.is_symlink()]

    def _tagged(self, folder: Path) -> Resource | None:
        """None where the tags are gone or can't be read: then it is a leftover."""
        try:
            tagged = read_json(folder / TAGS, Tagged)
        except (NotFound, Corrupt):
            return None
        tags = Tags.model_validate(tagged.model_dump())
        return Resource(id=self._id(folder), kind=tagged.kind, tags=tags, created=tagged.created, bytes=_measured(folder)[0])

    def _leftovers(self) -> Iterator[Resource]:
        unfinished = [path for place in _PLACES for path in sorted(self._home.glob(f"{place}/{TEMPORARY}*"))]
        for path in [*unfinished, *self._folders()]:
            if path.is_symlink() or not path.exists():
                continue
            size, changed = _measured(path)
            if datetime.now(UTC) - changed > MIN_AGE:
                yield Resource(id=self._id(path), kind=LEFTOVER, tags=_UNKNOWN, created=changed, bytes=size)

    def _expired(self) -> Iterator[Resource]:
        for path in sorted((self._home / VAULT).glob(f"*{SUFFIX}")):
            size, changed = _measured(path)
            if datetime.now(UTC) - changed > EXPIRED:
                yield Resource(id=self._id(path), kind=TICKET, tags=_UNKNOWN, created=changed, bytes=size)

    def _id(self, path: Path) -> str:
        return path.relative_to(self._home).as_posix()

    def _remove(self, identity: str) -> None:
        path = self._inside(identity)
        if not path.exists():
            return
        trash = path.parent / f"{TEMPORARY}trash-{token_hex(8)}"
        with platform_errors(path), _not_running(path):
            if not _renamed(path, trash):
                return
            fsync_folder(path.parent)
        with platform_errors(trash):
            shutil.rmtree(trash) if trash.is_dir() else trash.unlink()

    def _inside(self, identity: str) -> Path:
        """The resource's path, if it is one of ours and no part of it is a link. Raises: Invalid."""
        if not _ID.fullmatch(identity) or ".." in identity:
            raise Invalid("it names nothing temporary of this home; nothing was removed")
        path = self._home
        for segment in identity.split("/"):
            path /= segment
            if path.is_symlink():
                raise Invalid(f"{path} is a symbolic link; nothing was removed. Look at it yourself")
        return path


def _entries(folder: Path) -> list[Path]:
    with platform_errors(folder):
        return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def _renamed(path: Path, trash: Path) -> bool:
    """False where somebody else took it away just now."""
    try:
        path.rename(trash)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _not_running(folder: Path) -> Iterator[None]:
    """Hold the job's lock, if it has one. Raises: Unavailable (its process holds it)."""
    handle = _opened(folder / "job.lock")
    if handle is None:
        yield
        return
    try:
        if not _taken(handle):
            raise Unavailable("still running. Stop the job, then remove it")
        yield
    finally:
        os.close(handle)


def _opened(lock: Path) -> int | None:
    try:
        return os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _taken(handle: int) -> bool:
    """Whether the lock could be had; who only looks at it, or removes the same folder, lets it go in a moment."""
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def _measured(path: Path) -> tuple[int, datetime]:
    """Bytes of all files in it, and when something in it last changed. What vanishes meanwhile counts as nothing."""
    inside = [os.path.join(folder, name) for folder, folders, files in os.walk(path) for name in (*folders, *files)]  # noqa: PTH118 - os.walk gives text
    found = [status for name in (str(path), *inside) if (status := _status(name)) is not None]
    size = sum(status.st_size for status in found if not S_ISDIR(status.st_mode))
    return size, datetime.fromtimestamp(max((status.st_mtime for status in found), default=0), UTC)


def _status(name: str) -> os.stat_result | None:
    try:
        return os.lstat(name)
    except FileNotFoundError:
        return None
