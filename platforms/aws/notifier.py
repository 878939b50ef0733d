"""Notices as objects, on the console of whoever runs the worker, and through channels such as SNS topics.

notices/pages/<mark>.md      what people read
notices/sent/<mark>.json     the notice was sent
notices/told/<mark>.json     one channel has acknowledged

The order is that of the local outbox: page, console, mark. Killed in between, the next try may repeat the console's lines or a
channel's message: a notice twice is better than none. No address with its secrets in it is ever written.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock
from typing import Final

from contracts.review import Notice
from platforms.aws.objects import Objects
from platforms.channels import Channels
from platforms.errors import Unavailable
from platforms.files import json_bytes, key_mark
from platforms.message import message
from platforms.notice_text import as_console, as_markdown
from platforms.notices import SentNotice, ToldChannel, WaysIn, tell_console

_LOCKS: Final = 2
"""Hex digits of a mark that pick its lock."""
_PATIENCE: Final = 1.0


class AwsNotifier:
    """Two threads of a process never send the same twice; two processes may, in the moment before the mark is there."""

    def __init__(self, objects: Objects, ways: WaysIn, channels: Channels | None = None) -> None:
        self._objects = objects
        self._ways = ways
        self._channels = channels or Channels({})
        self._locks: dict[str, Lock] = defaultdict(Lock)

    def send(self, notice: Notice) -> bool:
        mark = key_mark(notice.key)
        json_bytes(notice)
        with self._locks[mark[:_LOCKS]]:
            if self._objects.there(f"notices/sent/{mark}.json"):
                return False
            found = self._ways.of(notice)
            self._objects.put(f"notices/pages/{mark}.md", as_markdown(notice, found).encode())
            shown = tell_console(as_console(notice, found))
            sent = SentNotice(notice=notice, sent=datetime.now(UTC), console=shown)
            return self._objects.create(f"notices/sent/{mark}.json", json_bytes(sent))

    def tell(self, notice: Notice, channel: str) -> bool:
        """Raises: Unavailable (the channel is down, or this notice is on its way through it), Invalid, Exhausted."""
        mark = key_mark(f"{channel} {notice.tells_of}")
        key = f"notices/told/{mark}.json"
        with self._turn(mark, channel):
            if self._objects.there(key):
                return False
            self._channels.post(notice.channels[channel].url, message(notice, self._ways.of(notice, channel)))
            told = ToldChannel(key=notice.key, kind=notice.kind, channel=channel, at=datetime.now(UTC))
            self._objects.create(key, json_bytes(told))
            return True

    @contextmanager
    def _turn(self, mark: str, channel: str) -> Iterator[None]:
        lock = self._locks[mark[:_LOCKS]]
        if not lock.acquire(timeout=_PATIENCE):
            raise Unavailable(f"{channel}: another message is on its way. Try again")
        try:
            yield
        finally:
            lock.release()
