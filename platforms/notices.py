"""What every notifier does: the links of a notice, the console, and the marks of what was sent."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from contracts.base import Contract, Utc
from contracts.notices import NoticeKind
from contracts.review import Notice
from platforms.notice_text import links

SignedLink = Callable[[str, Notice], str]
"""The review page's address for one person and one notice, signed; it opens the review and decides nothing."""


class SentNotice(Contract):
    """The mark of a sent notice."""

    notice: Notice
    sent: Utc
    console: bool
    """False where the console could not be written; the page was."""


class ToldChannel(Contract):
    """The mark of a channel that has acknowledged."""

    key: str
    kind: NoticeKind
    channel: str
    at: Utc


@dataclass(frozen=True)
class WaysIn:
    """Where a notice's links lead."""

    ui_url: str
    review_url: str = ""
    namespace: str = "default"
    signed_link: SignedLink | None = None

    def of(self, notice: Notice, channel: str = "") -> dict[str, str]:
        """A channel that reaches one person alone gets that person's link."""
        found = links(notice, self.ui_url, self.namespace, self.review_url)
        person = notice.personal.get(channel)
        if person and notice.evidence and notice.deadline and self.signed_link is not None:
            found[f"Decide as {person}"] = self.signed_link(person, notice)
        return found


def tell_console(text: str) -> bool:
    """Whether the console took the text. It may be closed; what is kept is what counts."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return False
    return True
