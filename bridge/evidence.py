"""Serves evidence, read-only: no listing, no way out of it, and nothing in a file can run or call home."""

from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from bridge.answers import failure
from platforms.errors import Invalid, PlatformError
from platforms.ports import EvidenceStore

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

log = structlog.get_logger(__name__)


class EvidenceFiles:
    """GET /evidence/<endpoint>/<incident>/<file>."""

    def __init__(self, store: EvidenceStore) -> None:
        self._store = store

    def serve(self, request: Request) -> Response:
        """Runs in a thread, since it reads a file or asks a service."""
        endpoint, incident, name = (request.path_params[part] for part in ("endpoint", "incident", "name"))
        try:
            content = self._store.content(endpoint, incident, name)
        except Invalid:
            return failure(404, "there is no such evidence; its link stands in the notice and in `python starter.py status`")
        except PlatformError as error:
            log.warning("evidence_unavailable", endpoint=endpoint, incident=incident, reason=str(error))
            return failure(503, "the evidence can't be read at the moment; try again")
        suffix = PurePosixPath(name).suffix.lower()
        headers = dict(_SAFE)
        if suffix not in _TYPES:
            headers["content-disposition"] = f'attachment; filename="{name}"'
        return Response(content, headers=headers, media_type=_TYPES.get(suffix, "application/octet-stream"))
