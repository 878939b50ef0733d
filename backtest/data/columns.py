"""Which column plays which part: names found whatever their case, features chosen, words told from numbers."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from backtest.data.card import CardFile
from backtest.data.findings import ColumnFindings, Findings
from backtest.data.names import Names
from backtest.data.numbers import is_text, numbers
from learning.rows import Floats

_WORDS = 0.5
"""A column with more words than this share of its values is no column of numbers."""
_MOST_SHOWN = 12
_ENOUGH = 100


@dataclass(frozen=True)
class Columns:
    """Names as they stand in the file."""

    event_time: str
    label: str
    label_time: str | None
    id: str | None
    features: tuple[str, ...]
    categorical: tuple[str, ...]
    slices: tuple[str, ...]


def resolve(source: CardFile, names: Sequence[str], first: Mapping[str, pa.Array], findings: Findings, *, comma: bool) -> Columns:
    """Every column that the card names, in the file's spelling. Raises: CardError, at the card's line."""
    card = source.card
    found = {field: _in_file(source, field, wanted, names, findings) for field, wanted in card.columns.items()}
    categorical = [found[f"categorical_features.{at}"] for at in range(len(card.categorical_features))]
    if isinstance(card.features, str):
        taken = {name for field, name in found.items() if field.split(".")[0] not in ("slices", "categorical_features")}
        ignored = {_bare(name) for name in card.ignore}
        free = [name for name in names if name not in taken and _bare(name) not in ignored]
        features = _numeric(free, categorical, first, findings, comma=comma)
    else:
        features = [found[f"features.{at}"] for at in range(len(card.features))]
        features += [name for name in categorical if name not in features]
        categorical += _words(features, categorical, first, findings, comma=comma)
    if not features:
        raise source.wrong("features", "no column is left for the model to learn from; name some")
    return Columns(
        event_time=found["event_time"],
        label=found["label"],
        label_time=found.get("label_time"),
        id=found.get("id"),
        features=tuple(dict.fromkeys(features)),
        categorical=tuple(dict.fromkeys(categorical)),
        slices=tuple(dict.fromkeys(found[f"slices.{at}"] for at in range(len(card.slices)))),
    )


def _in_file(source: CardFile, field: str, wanted: str, names: Sequence[str], findings: Findings) -> str:
    if wanted in names:
        return wanted
    alike = [name for name in names if _bare(name) == _bare(wanted)]
    if len(alike) == 1:
        findings.counts["renamed_columns"] += 1
        findings.note(f"Column {wanted!r} of the card is {alike[0]!r} in the file.")
        return alike[0]
    close = difflib.get_close_matches(wanted, names, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    raise source.wrong(field, f"the data has no column {wanted!r}; {guess}it has: {', '.join(names[:_MOST_SHOWN])}{more}")


def _bare(name: str) -> str:
    return "".join(one for one in name.casefold() if one.isalnum())


def _numeric(
    free: Sequence[str], categorical: Sequence[str], first: Mapping[str, pa.Array], findings: Findings, *, comma: bool
) -> list[str]:
    """Those of the free columns that hold numbers, and the categorical ones."""
    words = [name for name in free if name not in categorical and not _is_numeric(first[name], comma=comma)]
    if words:
        findings.note(f"Left out, since they hold words: {', '.join(words[:_MOST_SHOWN])}. Name them under categorical_features.")
    counters = [name for name in free if name not in (*words, *categorical) and _counts_rows(first[name])]
    if counters:
        findings.note(f"Left out, since they only number the rows: {', '.join(counters[:_MOST_SHOWN])}.")
    return [name for name in free if name not in (*words, *counters)]


def _counts_rows(column: pa.Array) -> bool:
    """A row number, as tables get when they are written out, tells a model nothing but the time."""
    values = numbers(column, ColumnFindings())
    return len(values) >= _ENOUGH and bool((np.diff(values) == 1).all())


def _words(
    features: Sequence[str], categorical: Sequence[str], first: Mapping[str, pa.Array], findings: Findings, *, comma: bool
) -> list[str]:
    """Features that the card takes for numbers and that are words: read as categories."""
    found = [name for name in features if name not in categorical and not _is_numeric(first[name], comma=comma)]
    for name in found:
        findings.note(f"Feature {name!r} holds words, so it is read as a category.")
    return found


def _is_numeric(column: pa.Array, *, comma: bool) -> bool:
    if pa.types.is_temporal(column.type) or pa.types.is_nested(column.type):
        return False
    if not is_text(column):
        return True
    found = ColumnFindings()
    values = numbers(column, found, decimal_comma=comma)
    there = int(np.isfinite(values).sum())
    return found.unreadable <= _WORDS * (there + found.unreadable + found.absurd)


class FeatureReader:
    """One matrix from a batch; categories keep their numbers from batch to batch."""

    def __init__(self, columns: Columns, findings: Findings, *, decimal_comma: bool) -> None:
        self._columns, self._findings, self._comma = columns, findings, decimal_comma
        self.categories = {name: Names() for name in columns.categorical}
        self.slices = {name: Names(1000) for name in columns.slices}
        for name in columns.features:
            findings.of(name).kind = "category" if name in self.categories else "number"

    def features(self, batch: Mapping[str, pa.Array]) -> Floats:
        """Shape (n, k), in the order of the card."""
        return np.column_stack([self._feature(name, batch[name]) for name in self._columns.features])

    def _feature(self, name: str, column: pa.Array) -> Floats:
        found = self._findings.of(name)
        if name not in self.categories:
            return numbers(column, found, decimal_comma=self._comma)
        values = self.categories[name].read(column)
        found.missing += int(np.isnan(values).sum())
        return values

    def sliced(self, batch: Mapping[str, pa.Array]) -> Floats:
        """Numbers of the slices' values, shape (n, m)."""
        if not self.slices:
            return np.empty((len(next(iter(batch.values()))), 0))
        return np.column_stack([names.read(batch[name]) for name, names in self.slices.items()])
