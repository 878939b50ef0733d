"""`tags.json` in the folder of everything temporary: whose it is, what it is, since when. The inventory reads it."""

from datetime import UTC, datetime
from typing import Final, Self

from contracts.base import Utc
from contracts.training import Tags

TAGS: Final = "tags.json"


class Tagged(Tags):
    """Tags, with what the folder is and when it was made (on the machine's clock)."""

    kind: str
    created: Utc

    @classmethod
    def of(cls, tags: Tags, kind: str) -> Self:
        return cls(**tags.model_dump(), kind=kind, created=datetime.now(UTC))
