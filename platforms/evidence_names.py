"""How evidence is named, whichever platform keeps it: the uri holds no path, so that the place can move."""

import re
from dataclasses import dataclass
from typing import Self

from platforms.errors import Invalid
from platforms.files import checked_name

_URI = re.compile(r"evidence://([^/]+)/([^/]+)/([^/]+)")


@dataclass(frozen=True)
class EvidenceName:
    """Three safe path segments. Raises: Invalid (one isn't)."""

    endpoint: str
    incident: str
    name: str

    def __post_init__(self) -> None:
        checked_name(self.endpoint, "endpoint")
        checked_name(self.incident, "incident")
        checked_name(self.name, "evidence name")

    @classmethod
    def of(cls, uri: str) -> Self:
        """Raises: Invalid."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise Invalid(f"{uri[:200]!r} is no evidence uri: it must read evidence://ENDPOINT/INCIDENT/NAME")
        return cls(match[1], match[2], match[3])

    @property
    def segments(self) -> tuple[str, str, str]:
        return self.endpoint, self.incident, self.name

    @property
    def uri(self) -> str:
        return f"evidence://{'/'.join(self.segments)}"

    def link(self, base_url: str) -> str:
        """Where the bridge serves it; never an address that is itself a secret, since links stay in histories."""
        return f"{base_url.rstrip('/')}/evidence/{'/'.join(self.segments)}"
