"""The decision vault: signed tokens as files of mode 0600, named by their SHA-256 and written once.

Only the name travels, so that no token is ever in a history, a log or a list of processes.
"""

import re
from hashlib import sha256
from pathlib import Path

from contracts.base import Sha256
from platforms.errors import Corrupt, Invalid, NotFound
from platforms.files import create_exclusive, make_folder, platform_errors, read_bytes
from platforms.identity.folder import OWNER_ONLY
from platforms.identity.keys import PRIVATE
from platforms.identity.tokens import MOST_BYTES

VAULT = "vault"
SUFFIX = ".jwt"
_TICKET = re.compile(r"[0-9a-f]{64}")


class LocalVault:
    def __init__(self, home: Path) -> None:
        self._root = home / VAULT

    def keep(self, token: str) -> Sha256:
        content = token.encode(errors="replace")
        if not content or len(content) > MOST_BYTES:
            raise Invalid(f"a signed token has up to {MOST_BYTES} bytes, this one {len(content)}")
        if not self._root.is_dir():
            make_folder(self._root)
            with platform_errors(self._root):
                self._root.chmod(OWNER_ONLY)
        ticket = sha256(content).hexdigest()
        if not create_exclusive(self._path(ticket), content, PRIVATE):
            self.read(ticket)
        return ticket

    def read(self, ticket: Sha256) -> str:
        if not _TICKET.fullmatch(ticket):
            raise NotFound("no such ticket: it has 64 hex digits")
        content = read_bytes(self._path(ticket))
        if sha256(content).hexdigest() != ticket:
            raise Corrupt(f"the token of ticket {ticket[:12]} is not what was kept. Sign the decision again")
        return content.decode("ascii", errors="replace")

    def _path(self, ticket: str) -> Path:
        return self._root / f"{ticket}{SUFFIX}"
