"""Notices as files in an outbox, and on the console of whoever runs the worker.

The page is written first, then the console is told, then the JSON beside the page marks the notice as sent. Killed in
between, the next try writes the same page again and may repeat the console's lines: a notice twice is better than none.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from contracts.base import Contract, Utc
from contracts.review import Notice
from platforms.local.files import create_exclusive, json_bytes, key_mark, locked, platform_errors, write_atomic
from platforms.local.notice_text import as_console, as_markdown, links


class SentNotice(Contract):
    """The mark of a sent notice."""

    notice: Notice
    sent: Utc
    console: bool
    """False where the console could not be written; the page was."""


class LocalNotifier:
    def __init__(self, home: Path, ui_url: str, namespace: str = "default") -> None:
        self._outbox = home / "outbox"
        self._ui_url = ui_url
        self._namespace = namespace

    def send(self, notice: Notice) -> bool:
        """Raises: Exhausted, Unavailable, Invalid (the outbox or the notice can't be written)."""
        mark = key_mark(notice.key)
        json_bytes(notice)
        with locked(self._outbox / "outbox.lock"):
            if self._find(mark, "json"):
                return False
            return self._deliver(notice, mark)

    def _deliver(self, notice: Notice, mark: str) -> bool:
        now = datetime.now(UTC)
        page = self._find(mark, "md") or self._outbox / f"{now:%Y%m%dT%H%M%S.%fZ}-{mark}.md"
        found = links(notice, self._ui_url, self._namespace)
        write_atomic(page, as_markdown(notice, found).encode())
        told = _tell(as_console(notice, found))
        return create_exclusive(page.with_suffix(".json"), json_bytes(SentNotice(notice=notice, sent=now, console=told)))

    def _find(self, mark: str, suffix: str) -> Path | None:
        with platform_errors(self._outbox):
            return next(self._outbox.glob(f"*-{mark}.{suffix}"), None)


def _tell(text: str) -> bool:
    """Whether the console took the text. It may be closed; the outbox is what counts."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return False
    return True
