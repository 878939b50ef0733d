"""Serves the evidence folder, read-only: no listing, no way out of it, and nothing in a file can run or call home."""

import errno
import os
import re
import stat
from pathlib import Path
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from bridge.answers import failure

_SEGMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK, errno.ENXIO})
_TYPES: Final = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".json": "application/json",
        ".jsonl": "text/plain; charset=utf-8",
        ".txt": "text/plain; charset=utf-8",
        ".md": "text/plain; charset=utf-8",
        ".csv": "text/csv; charset=utf-8",
        ".svg": "image/svg+xml",
        ".png": "image/png",
    }
)
_SAFE: Final = MappingProxyType(
    {
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "private, no-cache",
    }
)


class EvidenceFiles:
    """GET /evidence/<endpoint>/<incident>/<file>."""

    def __init__(self, home: Path) -> None:
        self._root = home / "evidence"

    def serve(self, request: Request) -> Response:
        """Runs in a thread, since it reads a file."""
        segments = [request.path_params[name] for name in ("endpoint", "incident", "name")]
        content = self._read(segments)
        if content is None:
            return failure(404, "there is no such evidence; its link stands in the notice and in `python starter.py status`")
        suffix = Path(segments[-1]).suffix.lower()
        headers = dict(_SAFE)
        if suffix not in _TYPES:
            headers["content-disposition"] = f'attachment; filename="{segments[-1]}"'
        return Response(content, headers=headers, media_type=_TYPES.get(suffix, "application/octet-stream"))

    def _read(self, segments: list[str]) -> bytes | None:
        """The file, reached folder by folder so that no link is followed; None where there is none."""
        if not all(_SEGMENT.fullmatch(segment) for segment in segments):
            return None
        try:
            descriptor = _walk(self._root, segments)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise
        return _content(descriptor)


def _content(descriptor: int) -> bytes | None:
    """What a regular file holds; None for a folder, a pipe, a device."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _walk(root: Path, segments: list[str]) -> int:
    folder = os.open(root, _FOLDER)
    try:
        for segment in segments[:-1]:
            below = os.open(segment, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        return os.open(segments[-1], _FILE, dir_fd=folder)
    finally:
        os.close(folder)
