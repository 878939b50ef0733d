"""Evidence as files that are written once: what a verdict was computed from, and what people were shown."""

import re
from collections.abc import Sequence
from pathlib import Path

from platforms.errors import Conflict, Invalid
from platforms.files import checked_name, create_exclusive, platform_errors, read_bytes

_URI = re.compile(r"evidence://([^/]+)/([^/]+)/([^/]+)")


class LocalEvidence:
    """A uri is `evidence://<endpoint>/<incident>/<name>`: it holds no path, so that the home can move."""

    def __init__(self, home: Path, base_url: str) -> None:
        self._root = home / "evidence"
        self._base_url = base_url.rstrip("/")

    def write(self, endpoint: str, incident: str, name: str, content: bytes) -> str:
        uri = f"evidence://{endpoint}/{incident}/{name}"
        path = self._path(endpoint, incident, name)
        if not create_exclusive(path, content) and read_bytes(path) != content:
            raise Conflict(f"{path} is there with other content; evidence is never overwritten. Use another name")
        return uri

    def read(self, uri: str) -> bytes:
        return read_bytes(self._path(*_parts(uri)))

    def link(self, uri: str) -> str:
        """Where the bridge serves the file."""
        endpoint, incident, name = _parts(uri)
        self._path(endpoint, incident, name)
        return f"{self._base_url}/evidence/{endpoint}/{incident}/{name}"

    def names(self, endpoint: str, incident: str) -> Sequence[str]:
        folder = self._root.joinpath(checked_name(endpoint, "endpoint"), checked_name(incident, "incident"))
        with platform_errors(folder):
            return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []

    def content(self, endpoint: str, incident: str, name: str) -> bytes:
        return read_bytes(self._path(endpoint, incident, name))

    def _path(self, endpoint: str, incident: str, name: str) -> Path:
        segments = (checked_name(endpoint, "endpoint"), checked_name(incident, "incident"), checked_name(name, "evidence name"))
        return self._root.joinpath(*segments)


def _parts(uri: str) -> tuple[str, str, str]:
    match = _URI.fullmatch(uri)
    if match is None:
        raise Invalid(f"{uri[:200]!r} is no evidence uri: it must read evidence://ENDPOINT/INCIDENT/NAME")
    return match[1], match[2], match[3]
