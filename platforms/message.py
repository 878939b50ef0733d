"""A notice as a message for one channel: what every service can show, and nothing that it would obey."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from contracts.review import Notice
from platforms.notice_text import as_markdown, as_text, plain

MOST_TITLE = 200
MOST_SENTENCE = 1500
"""Reports have the rest: services cut or refuse long messages."""
_MENTION = re.compile(r"@(?=\w)")
_UNSEEN = "\u200b"


@dataclass(frozen=True)
class Message:
    """What is posted. `text` is plain, `markdown` says the same with every sign of outside text escaped."""

    title: str
    text: str
    markdown: str
    key: str
    """The same for every try: a service that knows such keys drops the second."""
    attributes: Mapping[str, str]
    """For services that filter: kind, endpoint, incident, severity."""


def message(notice: Notice, links: Mapping[str, str]) -> Message:
    short = notice.model_copy(update={"title": _cut(notice.title, MOST_TITLE), "sentence": _cut(notice.sentence, MOST_SENTENCE)})
    attributes = {
        "kind": notice.kind.value,
        "endpoint": notice.endpoint,
        "incident": notice.incident,
        "severity": notice.severity.value,
    }
    return Message(
        title=_calm(plain(short.title)),
        text=_calm(as_text(short, links)),
        markdown=_calm(as_markdown(short, links, titled=False)),
        key=notice.tells_of,
        attributes={name: value for name, value in attributes.items() if value},
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 4]} ..."


def _calm(text: str) -> str:
    """Nobody is called out by what a stranger wrote: '@everyone' loses its power. Our links and commands have no '@'."""
    return _MENTION.sub(f"@{_UNSEEN}", text)
