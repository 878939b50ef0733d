"""The keys of one home: the operating system's users, the review page's, and the one that signs links.

Whoever may write to this folder may speak for everybody on the local platform: the folder is made for its owner alone.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from platforms.errors import Invalid, NotFound
from platforms.files import create_exclusive, make_folder, platform_errors
from platforms.identity.keys import PRIVATE, Key, make_key, read_key

OWNER_ONLY = 0o700
_KEPT = timedelta(days=2)
"""So long is a used login remembered: longer than any is good for."""


class IdentityFolder:
    def __init__(self, home: Path) -> None:
        self.root = home / "identity"

    def local(self, user: str) -> Key:
        """The key of an operating system's user, made when it is first needed."""
        return self._made(self._of(user), user)

    def known_local(self, user: str) -> Key | None:
        return self._known(self._of(user))

    def page(self) -> Key:
        return self._made(self.root / "page.key", "review page")

    def known_page(self) -> Key | None:
        return self._known(self.root / "page.key")

    def links(self) -> Key:
        """Shared by whoever sends links and the page that opens them."""
        return self._made(self.root / "links.key", "links")

    def known_links(self) -> Key | None:
        return self._known(self.root / "links.key")

    def use_once(self, token_id: str, now: datetime) -> bool:
        """Whether this is the first time; remembered durably, of two at once only one is."""
        used = self._prepared() / "used"
        first = create_exclusive(used / f"{sha256(token_id.encode()).hexdigest()}", b"", PRIVATE)
        self._forget(used, before=now - _KEPT)
        return first

    def key_files(self) -> list[Path]:
        return sorted(self.root.glob("*.key"))

    def _of(self, user: str) -> Path:
        return self.root / f"local-{sha256(user.encode(errors='surrogatepass')).hexdigest()[:16]}.key"

    def _made(self, path: Path, person: str) -> Key:
        known = self._known(path)
        if known is not None:
            return known
        self._prepared()
        try:
            return make_key(path, person)
        except Invalid:
            return read_key(path)  # somebody else made it just now

    @staticmethod
    def _known(path: Path) -> Key | None:
        """Raises: Invalid (others may read it, or it is no key)."""
        try:
            return read_key(path)
        except NotFound:
            return None

    def _prepared(self) -> Path:
        """Raises: Invalid (the folder is open to others)."""
        if not self.root.is_dir():
            make_folder(self.root)
            with platform_errors(self.root):
                self.root.chmod(OWNER_ONLY)
        return self.root

    @staticmethod
    def _forget(used: Path, *, before: datetime) -> None:
        for path in used.iterdir():
            with platform_errors(path), suppress(FileNotFoundError):  # two may forget the same at once
                if path.stat().st_mtime < before.timestamp():
                    path.unlink()
