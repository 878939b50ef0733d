"""A card to begin with, guessed from a file: what could not be guessed is said in a comment."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from backtest.data.card import TimeColumn
from backtest.data.findings import ColumnFindings
from backtest.data.moments import NOWHEN, Moments
from backtest.data.names import key
from backtest.data.numbers import is_text, numbers, trimmed
from backtest.data.raw_table import RawTable
from learning.rows import microseconds
from platforms.errors import Invalid

_LABELS: Final = ("label", "target", "y", "class", "outcome", "churn", "fraud", "clicked", "converted", "busy", "delayed", "late")
_KNOWN: Final = ("label", "known", "arrived", "settled", "resolved", "confirmed", "outcome")
_CLOCK: Final = re.compile(r"(time|date|epoch|(^|_)(ts|at|when)($|_)|created|seconds$)", re.IGNORECASE)
"""Names of columns whose numbers may be counts since 1970 ..."""
_LIKELY: Final = (datetime(1980, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
"""... if they fall between these."""
_MANY: Final = 50
_PLAIN: Final = ({"0", "1"}, {"true", "false"}, {"yes", "no"})
_SHARE: Final = 0.8


def template(path: Path) -> str:
    """YAML. Raises: Invalid (no such file, no rows)."""
    table = RawTable(path)
    table.survey()
    batch = next(table.batches(), None)
    if batch is None or not len(next(iter(batch.values()))):
        raise Invalid(f"--template: {path} has no rows.")
    return "\n".join(_lines(_Guess(table.names, batch))) + "\n"


class _Guess:
    """What each column may be, by its name and first rows."""

    def __init__(self, names: Sequence[str], batch: Mapping[str, pa.Array]) -> None:
        self._batch = batch
        times = [name for name in names if _is_time(batch[name]) or (_CLOCK.search(name) and _is_count(batch[name]))]
        self.known = next((name for name in times if any(word in name.lower() for word in _KNOWN)), None)
        self.event = next((name for name in times if name != self.known), None)
        rest = [name for name in names if name not in times]
        self.id = next((name for name in rest if name.lower() == "id" or name.lower().endswith("_id")), None)
        self.label = self._label([name for name in rest if name != self.id])
        features = [name for name in rest if name not in (self.id, self.label)]
        self.numbers = [name for name in features if _is_number(batch[name])]
        self.categories = [name for name in features if name not in self.numbers and len(self.values(name)) <= _MANY]
        self.left = [name for name in features if name not in (*self.numbers, *self.categories)]

    def _label(self, names: Sequence[str]) -> str | None:
        named = [name for word in _LABELS for name in names if name.lower() == word]
        two = [name for name in names if len(self.values(name)) == 2]  # noqa: PLR2004 - a binary label
        return next(iter([*named, *reversed(two)]), None)

    def values(self, name: str) -> list[str]:
        column = self._batch[name]
        text = trimmed(column) if is_text(column) else column.cast(pa.string())
        return sorted({key(one) for one in text.drop_null().unique().to_pylist()})


def _is_time(column: pa.Array) -> bool:
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return True
    if not is_text(column):
        return False
    head = column[:200]
    if numbers(head, ColumnFindings()).size and np.isfinite(numbers(head, ColumnFindings())).mean() > _SHARE:
        return False
    return bool((Moments(TimeColumn(column="guess")).read(head) != NOWHEN).mean() > _SHARE)


def _is_count(column: pa.Array) -> bool:
    """Whether its numbers are seconds, or parts of them, since 1970."""
    moments = Moments(TimeColumn(column="guess")).read(
        column[:200].cast(pa.float64(), safe=False) if not is_text(column) else column[:200]
    )
    first, last = map(microseconds, _LIKELY)
    return bool(((moments > first) & (moments < last)).mean() > _SHARE)


def _is_number(column: pa.Array) -> bool:
    if pa.types.is_nested(column.type) or pa.types.is_temporal(column.type):
        return False
    found = ColumnFindings()
    numbers(column, found)
    return found.unreadable == 0


def _lines(guess: _Guess) -> list[str]:
    label = guess.label
    return [
        "# A card for `python starter.py backtest`, guessed from the first rows. Check each line.",
        f"event_time: {_text(guess.event)}" if guess.event else "event_time: WHICH  # no column of times was found",
        f"label: {_text(label)}" if label else "label: WHICH  # what came true",
        *_labelled(guess),
        f"label_time: {_text(guess.known)}" if guess.known else "label_delay: 1d  # how long after its event a label is known",
        f"features: [{', '.join(map(_text, (*guess.numbers, *guess.categories)))}]",
        f"categorical_features: [{', '.join(map(_text, guess.categories))}]",
        *([f"# left out: {', '.join(map(_text, guess.left))}"] if guess.left else []),
        *([f"id: {_text(guess.id)}"] if guess.id else []),
        "slices: []",
        "period: 7d",
        "# first_window: 90d  # what the first models learn from; a quarter of the file's time unless told",
    ]


def _labelled(guess: _Guess) -> list[str]:
    """The task, and which label counts."""
    values = guess.values(guess.label) if guess.label else []
    small = {value.lower() for value in values}
    if any(small <= plain for plain in _PLAIN):
        return ["task: binary"]
    if len(values) == 2:  # noqa: PLR2004 - a binary label
        return ["task: binary", f"positive_class: {_text(values[1])}  # or {_text(values[0])}"]
    if len(values) <= _MANY:
        return ["task: multiclass", f"classes: [{', '.join(map(_text, values))}]"]
    return ["task: regression"]


def _text(name: str | None) -> str:
    """As YAML reads it back."""
    text = name or ""
    plain = text.replace("_", "").replace("-", "").isalnum() and not text[0].isdigit()
    return text if plain and text.lower() not in ("null", "nan", "true", "false") else json.dumps(text, ensure_ascii=False)
