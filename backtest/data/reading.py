"""From a user's file and its card to periods that a policy can be played on: one pass over the file, then week by week."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from backtest.data.card import Card, CardFile
from backtest.data.columns import Columns, FeatureReader, resolve
from backtest.data.findings import Findings
from backtest.data.moments import NOWHEN, Moments
from backtest.data.names import BinaryLabels, ClassLabels, labels_for
from backtest.data.numbers import hashed, is_text, numbers, trimmed
from backtest.data.raw_table import RawTable
from backtest.data.spill import Hashes, Rows, Spill
from backtest.periods import NEVER
from learning.rows import Floats, Times, microseconds
from platforms.errors import Invalid

_EARLIEST: Final = microseconds(datetime.fromisoformat("1900-01-01T00:00:00+00:00"))
_LATEST: Final = microseconds(datetime.fromisoformat("2200-01-01T00:00:00+00:00"))
_MICROSECOND: Final = timedelta(microseconds=1)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_NOT_BINARY: Final = (
    "its values are no 0 and 1; say which counts as 1 with `positive_class`, or `task: multiclass` to tell all of them apart"
)
Told = Callable[[int], None]


@dataclass(frozen=True)
class Material:
    """The file as it was understood, on disk by weeks."""

    card: Card
    columns: Columns
    spill: Spill
    findings: Findings
    reader: FeatureReader
    classes: tuple[str, ...]
    """Of a multiclass task."""


def read_table(source: CardFile, table: RawTable, folder: Path, now: datetime, told: Told) -> Material:
    """The whole file; once more in another way, where a quote that nobody closed swallows lines.

    Raises: Invalid, CardError where nothing can be done.
    """
    folder = folder / "rows"
    folder.mkdir()
    try:
        material = Reading(source, table, folder, now).read(told)
    except Invalid:
        if not table.read_otherwise():
            raise
        return read_table(source, table, folder, now, told)
    if table.swallowed(material.findings.counts["rows_read"]) and table.read_otherwise():
        return read_table(source, table, folder, now, told)
    return material


class Reading:
    """One pass over the file."""

    def __init__(self, source: CardFile, table: RawTable, folder: Path, now: datetime) -> None:
        self._source, self._card, self._table, self._now = source, source.card, table, microseconds(now)
        self.findings = Findings()
        batches = table.batches()
        first = next(batches, None)
        if first is None or not len(next(iter(first.values()))):
            raise Invalid(f"--data: {table.path} has a header and no rows.")
        self._batches = chain([first], batches)
        self.columns = resolve(source, table.names, first, self.findings, comma=table.decimal_comma)
        self._event, self._known = Moments(self._card.event_time), Moments(self._card.label_time or self._card.event_time)
        self._labels = labels_for(self._card.task, self._card.positive_class, self._card.classes)
        self._features = FeatureReader(self.columns, self.findings, decimal_comma=table.decimal_comma)
        self._spill = Spill(folder, len(self.columns.features), len(self.columns.slices))
        self._newest = NOWHEN
        parts = (self.columns.event_time, self.columns.label, self.columns.label_time)
        understood = {*parts, *self.columns.features, *self.columns.slices} - {self.columns.id}
        self._hashed_names = [name for name in table.names if name not in understood]

    def read(self, told: Told) -> Material:
        """Raises: Invalid, CardError where nothing can be done."""
        for batch in self._batches:
            self._take(batch)
            told(self.findings.counts["rows_read"])
        self.findings.counts["rejected_lines"] = self._table.rejected
        self._check()
        classes = self._labels.classes if isinstance(self._labels, ClassLabels) else ()
        return Material(self._card, self.columns, self._spill, self.findings, self._features, classes)

    def _take(self, batch: Mapping[str, pa.Array]) -> None:
        counts = self.findings.counts
        event_time = self._event.read(batch[self.columns.event_time])
        counts["rows_read"] += len(event_time)
        missing = batch[self.columns.event_time].null_count
        there = (event_time >= _EARLIEST) & (event_time <= _LATEST)
        counts["rows_without_time"] += int((~there).sum())
        counts["event_times_missing"] += missing
        counts["rows_in_the_future"] += int((there & (event_time > self._now + 86_400_000_000)).sum())
        self._count_disorder(event_time[there])
        rows = self._understood(batch, event_time)
        self._spill.add(rows if there.all() else Rows(*(values[there] for values in vars(rows).values())))

    def _understood(self, batch: Mapping[str, pa.Array], event_time: Times) -> Rows:
        label = self._label(batch[self.columns.label])
        known_at, features = self._known_at(batch, event_time, label), self._features.features(batch)
        sliced = self._features.sliced(batch)
        rest = {name: hashed(batch[name]) for name in self._hashed_names}
        row_hash = _mixed([*(_bits(column) for column in (known_at, label, *features.T, *sliced.T)), *rest.values()])
        return Rows(event_time, known_at, label, row_hash, self._id_hash(batch, rest, row_hash), features, sliced)

    def _id_hash(self, batch: Mapping[str, pa.Array], rest: Mapping[str, Hashes], row_hash: Hashes) -> Hashes:
        """A row without an id is known by all of itself."""
        if self.columns.id is None:
            return row_hash
        column = batch[self.columns.id]
        column = trimmed(column) if is_text(column) else column
        return np.where(column.is_valid().to_numpy(zero_copy_only=False), rest[self.columns.id], row_hash)

    def _count_disorder(self, event_time: Times) -> None:
        if len(event_time):
            highest = np.maximum.accumulate(np.concatenate([[self._newest], event_time]))
            self.findings.counts["rows_out_of_order"] += int((event_time < highest[:-1]).sum())
            self._newest = int(highest[-1])

    def _label(self, column: pa.Array) -> Floats:
        found = self.findings.label
        if self._labels is None:
            return numbers(column, found, decimal_comma=self._table.decimal_comma)
        return self._labels.read(column, found)

    def _known_at(self, batch: Mapping[str, pa.Array], event_time: Times, label: Floats) -> Times:
        """When each label arrives: never before its event."""
        delay = self._card.label_delay
        later = event_time + delay // _MICROSECOND if delay is not None else np.full(len(event_time), NEVER)
        if self.columns.label_time is None:
            return np.where(np.isnan(label), NEVER, later)
        said = self._known.read(batch[self.columns.label_time])
        labelled = ~np.isnan(label)
        counts = self.findings.counts
        counts["labels_without_time"] += int((labelled & (said == NOWHEN)).sum())
        counts["labels_before_their_event"] += int((labelled & (said != NOWHEN) & (said < event_time)).sum())
        known = np.where(said == NOWHEN, later, np.maximum(said, event_time))
        return np.asarray(np.where(labelled, known, NEVER), dtype=np.int64)

    def _check(self) -> None:
        """Whether anything can be done at all."""
        if not self._spill.weeks:
            raise self._source.wrong("event_time", self._no_times())
        if not self.findings.counts["rows_read"] > self.findings.label.missing + self.findings.label.unreadable:
            raise self._source.wrong("label", self._no_labels())
        if isinstance(self._labels, BinaryLabels):
            self._check_binary(self._labels)
        if isinstance(self._labels, ClassLabels) and len(self._labels.classes) < 2:  # noqa: PLR2004 - nothing to tell apart
            raise self._source.wrong("label", f"only one class was found: {', '.join(self._labels.classes)}")
        self._note_assumptions()

    def _check_binary(self, labels: BinaryLabels) -> None:
        found = ", ".join(labels.ordered()[:10])
        if self._card.positive_class is not None and not labels.has_positive:
            raise self._source.wrong("positive_class", f"no row has the label {self._card.positive_class!r}; there are: {found}")
        if self._card.positive_class is None and labels.one_sided:
            raise self._source.wrong("label", f"{_NOT_BINARY}: {found}")

    def _no_times(self) -> str:
        why = "say which number is the day with `format`, such as '%d/%m/%Y'" if self._event.ambiguous else ""
        why = why or "give its `format`, such as '%d/%m/%Y %H:%M' or unix"
        return f"no value of column {self.columns.event_time!r} in {self._table.path} can be read as a time; {why}"

    def _no_labels(self) -> str:
        example = f", such as {self.findings.label.example!r}" if self.findings.label.example else ""
        if isinstance(self._labels, BinaryLabels) and self._labels.seen:
            found = ", ".join(self._labels.ordered()[:10])
            return f"{_NOT_BINARY}. There are: {found}"
        return f"no value of column {self.columns.label!r} in {self._table.path} can be read{example}"

    def _note_assumptions(self) -> None:
        findings = self.findings
        if self._event.day_first is not None:
            order = "day/month/year" if self._event.day_first else "month/day/year"
            findings.note(f"Dates such as 3/4/2024 were read as {order}.")
        if not self._table.quoting:
            findings.note("A quote stands in the file that nobody closed, so quotes were read as any other sign.")
        if self._table.encoding == "latin1":
            findings.note("The file is no UTF-8; it was read as Latin-1.")
        for name, names in (self._features.categories | self._features.slices).items():
            if names.full:
                findings.note(f"Column {name!r} has very many values; the later ones share one number.")
        if isinstance(self._labels, BinaryLabels) and len(self._labels.seen) > 2:  # noqa: PLR2004 - two are usual
            findings.note(f"The label has {len(self._labels.seen)} values: {', '.join(self._labels.ordered()[:10])}.")


def _bits(column: Times | Floats) -> Hashes:
    """The numbers as bits; every NaN is the same one."""
    if column.dtype == np.int64:
        return column.view(np.uint64)
    return np.where(np.isnan(column), 0.5, column + 0.0).view(np.uint64)


def _mixed(columns: Sequence[Hashes]) -> Hashes:
    """Alike for rows that are alike in every column."""
    found = np.zeros(len(columns[0]), dtype=np.uint64)
    for bits in columns:
        found = (found ^ bits) * _MIX
        found ^= found >> np.uint64(29)
    return found
