"""What people and scripts see. Text from outside is shown, never obeyed."""

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from console.exits import Exit

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that can move the cursor, reverse the line or hide text."""
_WIDE: Final = 10_000
"""Columns where no terminal is: nothing is wrapped or cut, so that ids stay whole."""

Show = Callable[[Console], None]


@dataclass(frozen=True)
class Answer:
    """What a verb found: `data` for scripts, `show` for people."""

    data: dict[str, Any]
    show: Show
    exit: Exit = Exit.DONE


def plain(value: object) -> str:
    """The text with everything that a terminal could obey written out, as in backslash x1b; newlines become spaces."""
    return "".join(_seen(char) for char in str(value).replace("\r\n", " ").replace("\n", " ").replace("\t", " "))


def _seen(char: str) -> str:
    return ascii(char)[1:-1] if unicodedata.category(char) in _UNSEEN else char


def safe(value: object, style: str = "") -> Text:
    """A piece of text for rich that is neither markup nor an escape sequence."""
    return Text(plain(value), style=style)


def utc(moment: datetime | None) -> str:
    """ISO 8601 in UTC to the second, as every verb reads it back; '-' for none."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else "-"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A plain table; cells that are no rich Text are made safe."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else safe(cell) for cell in row))
    return drawn


def console_for(stream: TextIO) -> Console:
    """Colours only on a terminal and without NO_COLOR."""
    if stream.isatty() and not os.environ.get("NO_COLOR"):
        return Console(file=stream, markup=False, highlight=False, emoji=False)
    width = None if stream.isatty() else _WIDE
    return Console(file=stream, markup=False, highlight=False, emoji=False, color_system=None, width=width)


def harden(stream: TextIO) -> None:
    """A sign that the stream's encoding lacks is written as an escape instead of ending the verb."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def lines(texts: Iterable[str]) -> Show:
    """Draws one line each, however long."""
    kept = tuple(texts)

    def draw(console: Console) -> None:
        for text in kept:
            console.print(safe(text), soft_wrap=True)

    return draw


def print_json(data: dict[str, Any]) -> None:
    """One object on one line, in ASCII: no terminal obeys anything in it."""
    sys.stdout.write(json.dumps(data, ensure_ascii=True, allow_nan=False) + "\n")
