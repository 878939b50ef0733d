"""Sends a message to an address: puts the secrets in, picks who can, and says without them what went wrong."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock
from typing import Protocol

from platforms.errors import PlatformError, Unavailable
from platforms.message import Message
from policies.channel_address import Unset, expanded, shown

AT_ONCE = 4
"""Sendings through one channel at the same time: one that hangs can't take all threads of a worker."""
PATIENCE = 2.0
"""Seconds that another waits for its turn before it comes back later."""


class Post(Protocol):
    """One way to send, such as Apprise or SNS."""

    def __call__(self, address: str, message: Message) -> None:
        """Returns when the other side has acknowledged.

        Raises: Unavailable (try again), Invalid (the address or the message is refused). Neither holds the address.
        """
        ...


@dataclass
class Channels:
    """`posts` makes a way to send by the beginning of the address; '' takes all others. Each is made at its first use."""

    posts: Mapping[str, Callable[[], Post]]
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _turns: dict[str, BoundedSemaphore] = field(default_factory=lambda: defaultdict(lambda: BoundedSemaphore(AT_ONCE)))
    _made: dict[str, Post] = field(default_factory=dict)
    _making: Lock = field(default_factory=Lock)

    def post(self, address: str, message: Message) -> None:
        """Raises: Unavailable, Invalid, with scheme and host of the address and nothing else of it."""
        with self._turn(address):
            try:
                whole = expanded(address, self.environ)
            except Unset as error:
                raise Unavailable(f"{shown(address)}: {error}") from None
            try:
                self._by(whole)(whole, message)
            except PlatformError as error:
                raise type(error)(f"{shown(address)}: {error}") from None

    def _by(self, address: str) -> Post:
        start = next((start for start in self.posts if start and address.startswith(start)), "")
        with self._making:
            if start not in self._made:
                self._made[start] = self.posts[start]()
            return self._made[start]

    @contextmanager
    def _turn(self, address: str) -> Iterator[None]:
        turn = self._turns[address]
        if not turn.acquire(timeout=PATIENCE):
            raise Unavailable(f"{shown(address)}: busy, {AT_ONCE} messages are under way")
        try:
            yield
        finally:
            turn.release()
