"""The decision vault: signed tokens as objects, encrypted, named by their SHA-256 and written once.

The template's lifecycle rule removes what is old in its folder; each object also carries a tag, for a rule that goes by tags.
Without any rule the inventory finds it after a week.
"""

import re
from hashlib import sha256
from typing import Final

from contracts.base import Sha256
from platforms.aws.objects import Objects
from platforms.errors import Corrupt, Invalid, NotFound
from platforms.identity.tokens import MOST_BYTES

VAULT: Final = "vault/"
EXPIRES: Final = "homeostat:expires"
"""The tag; its value names the lifecycle rule."""
_TICKET: Final = re.compile(r"[0-9a-f]{64}")


class AwsVault:
    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def keep(self, token: str) -> Sha256:
        content = token.encode(errors="replace")
        if not content or len(content) > MOST_BYTES:
            raise Invalid(f"a signed token has up to {MOST_BYTES} bytes, this one {len(content)}")
        ticket = sha256(content).hexdigest()
        if not self._objects.create(VAULT + ticket, content, tags={EXPIRES: "week"}):
            self.read(ticket)
        return ticket

    def read(self, ticket: Sha256) -> str:
        if not _TICKET.fullmatch(ticket):
            raise NotFound("no such ticket: it has 64 hex digits")
        content = self._objects.get(VAULT + ticket)
        if sha256(content).hexdigest() != ticket:
            raise Corrupt(f"the token of ticket {ticket[:12]} is not what was kept. Sign the decision again")
        return content.decode("ascii", errors="replace")
