"""Who gets another answer: confusion of both models, and sample rows of the harmful and the beneficial flips."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from activities.diagnostic_rows import ReportRows
from activities.diagnostic_text import day, name, number, percent, value
from contracts.training import Task
from platforms.ports import Rows
from policies.families import FAMILIES
from policies.metrics import Floats
from policies.paired import PairedScores

SAMPLES = 5
"""Rows shown of each kind."""
_FEATURES = 30
_CLASSES = 12
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_COUNTS = "rows are what happened, columns what it said; shares are of the row"
_ERRORS = "so many of all rows have an error of at most"
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Confusion:
    """What happened (rows) against what a model said (columns), as counts with shares of the row."""

    model: str
    how: str
    """How to read the table."""
    said: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class SampleRow:
    """One row that got another answer."""

    id: str
    day: str
    label: str
    champion: str
    challenger: str
    features: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Flips:
    """Rows that got worse or better, most of all first; `count` is of all of them."""

    kind: str
    count: int
    samples: tuple[SampleRow, ...]


@dataclass(frozen=True)
class Reading:
    """How to read scores and labels of this endpoint."""

    threshold: float
    classes: tuple[str, ...]
    noise: float
    """Of a regression: share of the champion's RMSE by which an error has to change to count."""

    def label(self, number_of_class: float, task: Task) -> str:
        if np.isnan(number_of_class):
            return "unknown"
        if task is Task.MULTICLASS and 0 <= int(number_of_class) < len(self.classes):
            return name(self.classes[int(number_of_class)])
        return value(number_of_class)

    def answers(self, score: Floats, task: Task) -> Floats:
        """What the model says: a class number, or the number itself."""
        if task is Task.MULTICLASS:
            return np.asarray(score.argmax(axis=1), dtype=np.float64)
        return np.asarray(score >= self.threshold, dtype=np.float64) if task is Task.BINARY else score

    def score(self, score: Floats, task: Task) -> str:
        """A row's answer with how sure the model is of it."""
        answer = self.label(float(self.answers(score[None], task)[0]), task)
        if task is Task.REGRESSION:
            return number(float(score))
        return f"{answer} ({float(score.max() if task is Task.MULTICLASS else score):.3f})"


def confusions(rows: PairedScores, reading: Reading, rival: str) -> list[Confusion]:
    """Of the rows with a label; of a regression how the error is distributed."""
    known = rows.labelled()
    if not len(known):
        return []
    models = ((rival, known.champion), ("challenger", known.challenger))
    return [_confusion(model, known, score, reading) for model, score in models]


def _confusion(model: str, rows: PairedScores, score: Floats, reading: Reading) -> Confusion:
    if rows.task is Task.REGRESSION:
        found = np.quantile(score - rows.label, _QUANTILES)
        said = tuple(f"{q:.0%}".replace("%", " %") for q in _QUANTILES)
        return Confusion(model, _ERRORS, said, (("error", tuple(map(number, found))),))
    count = 2 if rows.task is Task.BINARY else score.shape[1]
    pairs = rows.label.astype(np.int64) * count + reading.answers(score, rows.task).astype(np.int64)
    table = np.bincount(pairs, minlength=count * count).reshape(count, count)
    shown = np.sort(np.argsort(-table.sum(axis=1), kind="stable")[:_CLASSES])
    names = tuple(reading.label(float(code), rows.task) for code in shown)
    cells = table[np.ix_(shown, shown)]
    total = np.maximum(table.sum(axis=1)[shown], 1)
    lines = tuple(
        (f"was {names[i]}", tuple(f"{cell:,} ({percent(cell / total[i])})" for cell in line))
        for i, line in enumerate(cells.tolist())
    )
    return Confusion(model, _COUNTS, tuple(f"said {each}" for each in names), lines)


def flips(scores: PairedScores, rows: ReportRows | None, reading: Reading) -> list[Flips]:
    """Harmful ones first; the rows whose loss changed most stand as samples."""
    known = np.flatnonzero(~np.isnan(scores.label))
    if not len(known):
        return []
    there = scores.chosen(known)
    worse, better = _changed(there, reading)
    row_loss = next(iter(FAMILIES[scores.task].row_loss.values()))
    change = row_loss(there.label, there.challenger) - row_loss(there.label, there.champion)
    table = _Table(scores, rows, reading)
    return [_flips("harmful", known, worse, -change, table), _flips("beneficial", known, better, change, table)]


def _changed(rows: PairedScores, reading: Reading) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of rows that got worse, and better."""
    if rows.task is Task.REGRESSION:
        before, after = np.abs(rows.champion - rows.label), np.abs(rows.challenger - rows.label)
        least = reading.noise * float(np.sqrt(np.mean(before**2)))
        return after - before > least, before - after > least
    right = [reading.answers(score, rows.task) == rows.label for score in (rows.champion, rows.challenger)]
    return right[0] & ~right[1], ~right[0] & right[1]


@dataclass(frozen=True)
class _Table:
    """Where sample rows are read from."""

    scores: PairedScores
    rows: ReportRows | None
    reading: Reading

    def sample(self, i: int) -> SampleRow:
        held, scores, reading = self._held, self.scores, self.reading
        return SampleRow(
            id=name(held.ids[i]) if held else f"row {i + 1}",
            day=day(scores.day[i]),
            label=reading.label(float(scores.label[i]), scores.task),
            champion=reading.score(scores.champion[i], scores.task),
            challenger=reading.score(scores.challenger[i], scores.task),
            features=_features(self.rows.names, held.features[i]) if self.rows and held else (),
        )

    @property
    def _held(self) -> Rows | None:
        """The compared rows with their features, where these are at hand."""
        held = self.rows.holdout if self.rows else None
        return held if held is not None and len(held) == len(self.scores) else None


def _flips(kind: str, known: Places, mask: NDArray[np.bool_], key: Floats, table: _Table) -> Flips:
    """Sorted by `key`, the least first; equal ones by their place."""
    at = np.flatnonzero(mask)
    chosen = known[at[np.lexsort((at, key[at]))][:SAMPLES]]
    return Flips(kind, len(at), tuple(table.sample(i) for i in chosen.tolist()))


def _features(names: Sequence[str], found: Floats) -> tuple[tuple[str, str], ...]:
    shown = tuple((name(each), value(float(number_))) for each, number_ in zip(names[:_FEATURES], found, strict=False))
    more = len(names) - _FEATURES
    return (*shown, ("and", f"{more} more features")) if more > 0 else shown
