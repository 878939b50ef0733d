"""How the shadow bench's files are named, whichever platform keeps them."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from contracts.shadow import BenchState
from platforms.errors import Invalid

KEPT_REVISIONS: Final = 10
MIN_AGE: Final = timedelta(hours=1)
"""A file that no revision names yet may be about to be named."""
REVISION: Final = re.compile(r"(\d{6,})\.json")
_URI: Final = re.compile(r"bench://([^/]+)/([0-9a-f]{64})")


def part_uri(endpoint: str, digest: str) -> str:
    return f"bench://{endpoint}/{digest}"


def part_of(uri: str) -> tuple[str, str]:
    """Endpoint and digest. Raises: Invalid."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise Invalid(f"{uri[:200]!r} is no part of a bench: it must read bench://ENDPOINT/SHA256")
    return match[1], match[2]


def named(state: BenchState) -> Iterator[str]:
    """Digests of the files that a revision needs."""
    yield from (part.sha256 for part in state.parts)
    yield from (fit.challenger.model.digest for fit in state.fits if fit.challenger is not None)
