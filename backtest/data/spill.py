"""Rows on disk by the week of their event, so that a file in any order is played in the order of time and never held whole."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backtest.periods import NEVER
from learning.rows import Floats, Times

WEEK = 7 * 86_400_000_000
Records = NDArray[np.void]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Rows:
    """Rows that are understood, shape (n,) each; features (n, k), slices (n, m)."""

    event_time: Times
    known_at: Times
    label: Floats
    row_hash: Hashes
    """Of the whole row as it stands in the file."""
    id_hash: Hashes
    features: Floats
    slices: Floats


class Spill:
    """One file a week. Written once from front to back, then read week by week, as often as wanted."""

    def __init__(self, folder: Path, features: int, slices: int) -> None:
        self._folder = folder
        fields = [("time", "i8"), ("known", "i8"), ("label", "f8"), ("row", "u8"), ("id", "u8")]
        self._kind = np.dtype([*fields, ("features", "f8", (features,)), ("slices", "f8", (slices,))])
        self.weeks: dict[int, int] = {}
        """Rows by the number of the week since 1970."""
        self.by_id = False
        self.dropping = False
        self.until: int | None = None
        """Rows after it are left out."""
        self.label_range: tuple[float, float] | None = None
        """Labels outside of it are taken as missing."""
        self._read = lru_cache(maxsize=2)(self._loaded)

    def add(self, rows: Rows) -> None:
        records = np.empty(len(rows.event_time), dtype=self._kind)
        for name, values in zip(self._kind.names or (), vars(rows).values(), strict=True):
            records[name] = values
        week = rows.event_time // WEEK
        order = np.argsort(week, kind="stable")
        edges = np.flatnonzero(np.diff(week[order])) + 1
        for part in np.split(order, edges):
            if len(part):
                self._append(int(week[part[0]]), records[part])

    def _append(self, week: int, records: Records) -> None:
        with self._file(week).open("ab") as file:
            records.tofile(file)
        self.weeks[week] = self.weeks.get(week, 0) + len(records)

    def _file(self, week: int) -> Path:
        return self._folder / f"{week}.rows"

    def drop(self, week: int) -> None:
        """Forget a whole week."""
        self._file(week).unlink()
        del self.weeks[week]

    def week(self, number: int) -> Records:
        """Its rows in the order of time; those of one moment in the order of the file."""
        return self._read(number) if number in self.weeks else np.empty(0, dtype=self._kind)

    def _loaded(self, number: int) -> Records:
        records = self._sorted(number)
        if self.until is not None:
            records = records[records["time"] <= self.until]
        strange = self.strange(records)
        records["label"][strange], records["known"][strange] = np.nan, NEVER
        return records[~self.repeated(records)] if self.dropping else records

    def _sorted(self, number: int) -> Records:
        records = np.fromfile(self._file(number), dtype=self._kind)
        return records[np.argsort(records["time"], kind="stable")]

    def strange(self, records: Records) -> NDArray[np.bool_]:
        """Rows whose label lies outside of the range."""
        if self.label_range is None:
            return np.zeros(len(records), dtype=bool)
        low, high = self.label_range
        return np.asarray((records["label"] < low) | (records["label"] > high))

    def repeated(self, records: Records) -> NDArray[np.bool_]:
        """Rows to be dropped as repeats, of rows in the order of time.

        By id all but the last that has a label, else all but the first.
        """
        found = np.zeros(len(records), dtype=bool)
        time = records["time"]
        twin = np.zeros(len(records) + 1, dtype=bool)
        twin[1:-1] = time[1:] == time[:-1]
        shared = np.flatnonzero(twin[1:] | twin[:-1])
        if len(shared):
            found[shared] = self._repeated(records[shared])
        return found

    def _repeated(self, records: Records) -> NDArray[np.bool_]:
        place, time = np.arange(len(records)), records["time"]
        same = records["id" if self.by_id else "row"]
        worth = np.where(self.by_id, ~np.isnan(records["label"]) * len(records) + place, -place)
        order = np.lexsort((-worth, same, time))
        first = np.ones(len(records), dtype=bool)
        first[1:] = (time[order][1:] != time[order][:-1]) | (same[order][1:] != same[order][:-1])
        found = np.empty(len(records), dtype=bool)
        found[order] = ~first
        return found

    def each_week(self) -> Iterator[Records]:
        for number in sorted(self.weeks):
            yield self._sorted(number)

    def between(self, start: int, end: int) -> Records:
        """Rows with start <= event time < end, in microseconds."""
        parts = [self.week(number) for number in range(start // WEEK, (end - 1) // WEEK + 1) if number in self.weeks]
        if not parts:
            return np.empty(0, dtype=self._kind)
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        low, high = np.searchsorted(whole["time"], (start, end))
        return np.asarray(whole[low:high])


@dataclass
class Census:
    """What all rows together show, counted without holding them."""

    rows: int = 0
    repeated_rows: int = 0
    repeated_ids: int = 0
    equal_times: int = 0
    labelled: int = 0
    label_sum: float = 0.0
    days: set[int] = field(default_factory=set)

    def take(self, spill: Spill) -> "Census":
        for records in spill.each_week():
            self.rows += len(records)
            self.equal_times += int((np.diff(records["time"]) == 0).sum())
            known = ~np.isnan(records["label"])
            self.labelled += int(known.sum())
            self.label_sum += float(records["label"][known].sum())
            self.days.update(np.unique(records["time"] // (WEEK // 7)).tolist())
            self._repeats(spill, records)
        return self

    def _repeats(self, spill: Spill, records: Records) -> None:
        by_id, spill.by_id = spill.by_id, False
        self.repeated_rows += int(spill.repeated(records).sum())
        spill.by_id = by_id
        if by_id:
            self.repeated_ids += int(spill.repeated(records).sum())
