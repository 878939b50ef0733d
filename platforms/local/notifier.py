"""Notices as files in an outbox, on the console of whoever runs the worker, and through channels.

The page is written first, then the console is told, then the JSON beside the page marks the notice as sent. Killed in
between, the next try writes the same page again and may repeat the console's lines: a notice twice is better than none.
Each channel has a mark of its own under `told/`, written as soon as the other side has acknowledged; what a channel has taken
isn't sent to it again, whatever became of the others. No address with its secrets in it is ever written.
"""

from datetime import UTC, datetime
from pathlib import Path

import structlog

from contracts.review import Notice
from platforms.channels import Channels
from platforms.errors import PlatformError
from platforms.files import create_exclusive, json_bytes, key_mark, locked, platform_errors, write_atomic
from platforms.message import message
from platforms.notice_text import as_console, as_markdown
from platforms.notices import SentNotice, SignedLink, ToldChannel, WaysIn, tell_console

log = structlog.get_logger("notifier")

_LOCKS = 2
"""Hex digits of a mark that pick its lock: 256 locks, however many notices there are."""
_LOCK_PATIENCE = 1.0


class LocalNotifier:
    def __init__(
        self,
        home: Path,
        ui_url: str,
        namespace: str = "default",
        *,
        review_url: str = "",
        channels: Channels | None = None,
        signed_link: SignedLink | None = None,
    ) -> None:
        self._outbox = home / "outbox"
        self._ways = WaysIn(ui_url, review_url, namespace, signed_link)
        self._channels = channels or Channels({})
        self._unmarked: set[str] = set()

    def send(self, notice: Notice) -> bool:
        """Raises: Exhausted, Unavailable, Invalid (the outbox or the notice can't be written)."""
        mark = key_mark(notice.key)
        json_bytes(notice)
        with locked(self._outbox / "outbox.lock"):
            if self._find(mark, "json"):
                return False
            return self._deliver(notice, mark)

    def tell(self, notice: Notice, channel: str) -> bool:
        """Raises: Unavailable (the channel is down, or this notice is on its way through it), Invalid, Exhausted."""
        mark = key_mark(f"{channel} {notice.tells_of}")
        told = self._outbox / "told" / f"{mark}.json"
        with locked(self._outbox / "told" / f"{mark[:_LOCKS]}.lock", _LOCK_PATIENCE):
            with platform_errors(told):
                if told.exists() or mark in self._unmarked:
                    return False
            self._channels.post(notice.channels[channel].url, message(notice, self._ways.of(notice, channel)))
            self._mark(told, ToldChannel(key=notice.key, kind=notice.kind, channel=channel, at=datetime.now(UTC)))
            return True

    def _mark(self, told: Path, mark: ToldChannel) -> None:
        """Whoever has been told stays told: a full disk must not send the same page every few minutes."""
        try:
            create_exclusive(told, json_bytes(mark))
        except PlatformError as error:
            self._unmarked.add(told.stem)
            log.warning("told_without_a_mark", channel=mark.channel, notice=mark.key, reason=str(error))

    def _deliver(self, notice: Notice, mark: str) -> bool:
        now = datetime.now(UTC)
        page = self._find(mark, "md") or self._outbox / f"{now:%Y%m%dT%H%M%S.%fZ}-{mark}.md"
        found = self._ways.of(notice)
        write_atomic(page, as_markdown(notice, found).encode())
        told = tell_console(as_console(notice, found))
        return create_exclusive(page.with_suffix(".json"), json_bytes(SentNotice(notice=notice, sent=now, console=told)))

    def _find(self, mark: str, suffix: str) -> Path | None:
        with platform_errors(self._outbox):
            return next(self._outbox.glob(f"*-{mark}.{suffix}"), None)
