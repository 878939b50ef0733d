"""Evidence as objects that are written once, `evidence/<endpoint>/<incident>/<name>`.

A link leads to the bridge, which reads the object for whoever may see it: a presigned address would be a secret, and links stay
in histories and notices.
"""

from collections.abc import Sequence

from platforms.aws.objects import Objects
from platforms.errors import Conflict
from platforms.evidence_names import EvidenceName
from platforms.files import checked_name


class AwsEvidence:
    def __init__(self, objects: Objects, base_url: str) -> None:
        self._objects = objects
        self._base_url = base_url

    def write(self, endpoint: str, incident: str, name: str, content: bytes) -> str:
        named = EvidenceName(endpoint, incident, name)
        key = _key(named)
        if not self._objects.create(key, content) and self._objects.get(key) != content:
            where = self._objects.uri(key)
            raise Conflict(f"{where} is there with other content; evidence is never overwritten. Use another name")
        return named.uri

    def read(self, uri: str) -> bytes:
        return self._objects.get(_key(EvidenceName.of(uri)))

    def link(self, uri: str) -> str:
        return EvidenceName.of(uri).link(self._base_url)

    def names(self, endpoint: str, incident: str) -> Sequence[str]:
        folder = f"evidence/{checked_name(endpoint, 'endpoint')}/{checked_name(incident, 'incident')}/"
        return sorted(key.removeprefix(folder) for key in self._objects.keys(folder))

    def content(self, endpoint: str, incident: str, name: str) -> bytes:
        return self._objects.get(_key(EvidenceName(endpoint, incident, name)))


def _key(named: EvidenceName) -> str:
    return "/".join(("evidence", *named.segments))
