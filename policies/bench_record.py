"""The prequential record: what every member of a recipe, fitted on what was known before, said of the rows that came after."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from contracts.training import Task
from policies.blend import clipped
from policies.metrics import Floats, row_log_loss

Times = NDArray[np.int64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400_000_000
_LEAST = 1e-6


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of a moment with a time zone."""
    return span(moment - _EPOCH)


def span(length: timedelta) -> int:
    """A length of time in microseconds."""
    return length // _MICROSECOND


@dataclass(frozen=True)
class BenchRecord:
    """One row per request; n may be 0. Plain arrays, so that a file can hold them. K columns more for a multiclass task."""

    members: tuple[str, ...]
    event_time: Times
    """Microseconds since 1970, shape (n,)."""
    known_at: Times
    """When the label arrived, same unit; rows are not looked at before."""
    label: Floats
    """NaN where no label will ever arrive."""
    margins: Floats
    """Shape (n, M) or (n, M, K): each member's margin, by its fit of the period before; NaN where there was no fit."""
    champion: Floats
    """Shape (n,) or (n, K): margin of the champion in service without its shift; NaN where there was none."""
    shift: Floats
    """Same shape: the shift that was in service."""

    def __post_init__(self) -> None:
        n = len(self.event_time)
        for field in fields(self)[1:]:
            if len(getattr(self, field.name)) != n:
                raise ValueError(f"{field.name} has {len(getattr(self, field.name))} rows, event_time {n}")
        if self.margins.shape[1:2] != (len(self.members),) or self.champion.shape != self.shift.shape:
            raise ValueError(f"margins of shape {self.margins.shape} for {len(self.members)} members")

    def __len__(self) -> int:
        return len(self.event_time)

    @property
    def day(self) -> Times:
        """Days since 1970."""
        return np.asarray(self.event_time // _DAY, dtype=np.int64)

    def chosen(self, which: NDArray[np.bool_]) -> "BenchRecord":
        arrays = [getattr(self, field.name)[which] for field in fields(self)[1:]]
        return BenchRecord(self.members, *arrays)

    def known(self, now: datetime, since: datetime | None = None) -> "BenchRecord":
        """Rows whose label has arrived by `now`, of events from `since` on."""
        return self.chosen(self.is_known(now, since))

    def is_known(self, now: datetime, since: datetime | None = None) -> NDArray[np.bool_]:
        """Which rows these are, shape (n,)."""
        keep = (self.known_at <= microseconds(now)) & ~np.isnan(self.label)
        return keep if since is None else keep & (self.event_time >= microseconds(since))

    def newer(self, since: datetime) -> "BenchRecord":
        """What may still be asked for when events before `since` no longer count."""
        return self.chosen(self.event_time >= microseconds(since))

    @classmethod
    def joined(cls, parts: Sequence["BenchRecord"]) -> "BenchRecord":
        """Records of the same members, one after the other; at least one."""
        arrays = [np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)[1:]]
        return cls(parts[0].members, *arrays)

    def blended(self, names: Sequence[str], task: Task) -> Floats:
        """The blend's margin on every row, of the members that had a fit; NaN where none had."""
        total, count = np.zeros(self.champion.shape), np.zeros(self.champion.shape)
        for name in names:
            margin = clipped(self.margins[:, self.members.index(name)], task=task)
            there = ~np.isnan(margin)
            total += np.where(there, margin, 0.0)
            count += there
        with np.errstate(invalid="ignore"):
            return np.asarray(total / np.where(count > 0, count, np.nan), dtype=np.float64)


def complete(margin: Floats) -> NDArray[np.bool_]:
    """Rows without NaN, shape (n,)."""
    missing = np.isnan(margin)
    return np.asarray(~(missing.any(axis=1) if missing.ndim > 1 else missing), dtype=np.bool_)


def row_loss(label: Floats, score: Floats, task: Task) -> Floats:
    """The task's proper score of each row, shape (n,), lower is better: log loss, or the squared error."""
    if task is Task.REGRESSION:
        return np.asarray((score - label) ** 2, dtype=np.float64)
    if task is Task.BINARY:
        return row_log_loss(label, score)
    of_label = score[np.arange(len(label)), label.astype(np.int64)]
    return np.asarray(-np.log(np.clip(of_label, _LEAST, 1.0)), dtype=np.float64)
