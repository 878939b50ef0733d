"""Evidence and our own style and script: files that are shown, never run."""

import asyncio
from pathlib import Path, PurePath
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from platforms.errors import NotFound, PlatformError
from review.desk import Desk

_STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
}
_EVIDENCE_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""A report brings its style and pictures with it; it is held apart from the page that frames it, and runs nothing."""


class Files:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._static = {path.name: path.read_bytes() for path in _STATIC.iterdir() if path.suffix in _TYPES}

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            return Response("no such file\n", 404, media_type="text/plain")
        headers = {"cache-control": "public, max-age=300"}
        return Response(self._static[name], headers=headers, media_type=_TYPES[PurePath(name).suffix])

    async def evidence(self, endpoint: str, incident: str, name: str) -> Response:
        """Whoever asks has been let in already."""
        try:
            content = await asyncio.to_thread(self._desk.platform.evidence.content, endpoint, incident, name)
        except NotFound:
            return Response("there is no such evidence\n", 404, media_type="text/plain")
        except PlatformError as error:
            return Response(f"{error}\n", 409, media_type="text/plain")
        kind = _TYPES.get(PurePath(name).suffix.lower(), "application/octet-stream")
        headers = {
            "content-security-policy": _EVIDENCE_POLICY,
            "x-frame-options": "SAMEORIGIN",
            "cache-control": "private, no-cache",
        }
        if kind == "application/octet-stream":
            headers["content-disposition"] = "attachment"
        return Response(content, headers=headers, media_type=kind)
