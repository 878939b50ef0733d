"""Evidence as files that are written once: what a verdict was computed from, and what people were shown.

A file is reached folder by folder, so that no link is followed: the bridge serves what this reads to whoever asks.
"""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from platforms.errors import Conflict, NotFound
from platforms.evidence_names import EvidenceName
from platforms.files import checked_name, create_exclusive, platform_errors

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK, errno.ENXIO})


class LocalEvidence:
    def __init__(self, home: Path, base_url: str) -> None:
        self._root = home / "evidence"
        self._base_url = base_url

    def write(self, endpoint: str, incident: str, name: str, content: bytes) -> str:
        named = EvidenceName(endpoint, incident, name)
        path = self._root.joinpath(*named.segments)
        if not create_exclusive(path, content) and self._read(named) != content:
            raise Conflict(f"{path} is there with other content; evidence is never overwritten. Use another name")
        return named.uri

    def read(self, uri: str) -> bytes:
        return self._read(EvidenceName.of(uri))

    def link(self, uri: str) -> str:
        """Where the bridge serves the file."""
        return EvidenceName.of(uri).link(self._base_url)

    def names(self, endpoint: str, incident: str) -> Sequence[str]:
        folder = self._root.joinpath(checked_name(endpoint, "endpoint"), checked_name(incident, "incident"))
        with platform_errors(folder):
            return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []

    def content(self, endpoint: str, incident: str, name: str) -> bytes:
        return self._read(EvidenceName(endpoint, incident, name))

    def _read(self, named: EvidenceName) -> bytes:
        """Raises: NotFound (nothing there, or a link, a folder, a pipe, a device)."""
        path = self._root.joinpath(*named.segments)
        with platform_errors(path):
            try:
                found = _content(_walk(self._root, named.segments))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                found = None
        if found is None:
            raise NotFound(f"{path} is not there")
        return found


def _content(descriptor: int) -> bytes | None:
    """What a regular file holds; None for everything else."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _walk(root: Path, segments: Sequence[str]) -> int:
    folder = os.open(root, _FOLDER)
    try:
        for segment in segments[:-1]:
            below = os.open(segment, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        return os.open(segments[-1], _FILE, dir_fd=folder)
    finally:
        os.close(folder)
