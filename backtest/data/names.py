"""Numbers for what is written as a name: categories, slices, classes, the positive label."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backtest.data.findings import ColumnFindings
from backtest.data.numbers import is_text, trimmed
from contracts.training import Task
from learning.rows import Floats

MOST_CATEGORIES: Final = 20_000
"""What comes after so many distinct names shares one number."""
MOST_CLASSES: Final = 100
_TRUE: Final = frozenset({"1", "true", "yes", "t", "y"})
_FALSE: Final = frozenset({"0", "false", "no", "f", "n", "-1"})


def key(value: object) -> str:
    """One spelling for a name: '3.0' and 3 are the same, blanks around don't count."""
    text = str(value).strip()
    try:
        return f"{float(text):.15g}"
    except ValueError:
        return text


def coded(column: pa.Array, number_of: Callable[[str], float]) -> Floats:
    """Each distinct value looked up once; NaN where there is none, shape (n,)."""
    text = trimmed(column) if is_text(column) else column.cast(pa.string())
    spelled = text.dictionary_encode()
    table = np.array([*(number_of(key(one)) for one in spelled.dictionary.to_pylist()), np.nan])
    return np.asarray(table[pc.fill_null(spelled.indices, len(table) - 1).to_numpy(zero_copy_only=False)], dtype=np.float64)


class Names:
    """Numbers in the order in which names come; bounded, so that a column of ids does no harm."""

    def __init__(self, most: int = MOST_CATEGORIES) -> None:
        self._numbers: dict[str, int] = {}
        self._most = most

    def read(self, column: pa.Array) -> Floats:
        return coded(column, self._number)

    def _number(self, name: str) -> float:
        if name in ("nan", "NaN"):
            return np.nan
        if name not in self._numbers and len(self._numbers) >= self._most:
            return float(self._most)
        return float(self._numbers.setdefault(name, len(self._numbers)))

    @property
    def full(self) -> bool:
        return len(self._numbers) >= self._most

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._numbers)

    def name(self, number: float) -> str:
        if not number >= 0:
            return "missing"
        return self.names[int(number)] if number < len(self._numbers) else "others"


class BinaryLabels:
    """The positive class is 1, the others 0."""

    def __init__(self, positive: str | float | None) -> None:
        self._positive = None if positive is None else key(positive)
        self.seen: dict[str, int] = {}
        """How often each label was found, the first hundred of them."""

    def read(self, column: pa.Array, found: ColumnFindings) -> Floats:
        values = coded(column, self._number)
        text = trimmed(column) if is_text(column) else column.cast(pa.string())
        for one in pc.value_counts(text.drop_null()).to_pylist():
            self._count(key(one["values"]), one["counts"], found)
        found.missing += text.null_count
        return values

    def _count(self, name: str, count: int, found: ColumnFindings) -> None:
        if np.isnan(self._number(name)):
            found.unreadable += count
            found.example = found.example or name[:40]
        if name in self.seen or len(self.seen) < MOST_CLASSES:
            self.seen[name] = self.seen.get(name, 0) + count

    def _number(self, name: str) -> float:
        if self._positive is None:
            small = name.lower()
            return 1.0 if small in _TRUE else 0.0 if small in _FALSE else np.nan
        if name.lower() == self._positive.lower():
            return 1.0
        return np.nan if _is_number(self._positive) and (not _is_number(name) or name == "nan") else 0.0

    @property
    def has_positive(self) -> bool:
        return any(self._number(name) == 1 for name in self.seen)

    @property
    def one_sided(self) -> bool:
        """There are labels that can't be read, and none of one of the two that can: 1 and 2, or A and 0."""
        numbers = [self._number(name) for name in self.seen]
        return any(map(np.isnan, numbers)) and not {0.0, 1.0} <= set(numbers)

    def ordered(self) -> list[str]:
        """The labels found, the most frequent first."""
        return sorted(self.seen, key=lambda name: -self.seen[name])


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


class ClassLabels:
    """The place of a label among the classes."""

    def __init__(self, classes: Sequence[str | int | float]) -> None:
        self._fixed = bool(classes)
        self._places = {key(name): at for at, name in enumerate(classes)}

    def read(self, column: pa.Array, found: ColumnFindings) -> Floats:
        values = coded(column, self._place)
        empty = (trimmed(column) if is_text(column) else column).null_count
        found.missing += empty
        found.unreadable += int(np.isnan(values).sum()) - empty
        return values

    def _place(self, name: str) -> float:
        if name == "nan":
            return np.nan
        if name not in self._places and (self._fixed or len(self._places) >= MOST_CLASSES):
            return np.nan
        return float(self._places.setdefault(name, len(self._places)))

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self._places)


Labels = BinaryLabels | ClassLabels


def labels_for(task: Task, positive: str | float | None, classes: Sequence[str | int | float]) -> Labels | None:
    """None for a regression, whose labels are numbers."""
    if task is Task.REGRESSION:
        return None
    return BinaryLabels(positive) if task is Task.BINARY else ClassLabels(classes)
