"""What changed in the data between what the models learned from and what they were compared on. Evidence, not an alarm."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from activities.diagnostic_rows import ReportRows
from activities.diagnostic_text import name, number, percent, value
from contracts.training import Task
from platforms.ports import Rows
from policies.feature_shift import feature_shift, unseen
from policies.metrics import Floats

MOST_FEATURES = 40
"""So many are listed, the most shifted first; the rest is counted."""
_CODES = 8
_JUMP = 0.01
_SAMPLE = 20_000
_MICROSECONDS_A_DAY = 86_400_000_000


@dataclass(frozen=True)
class Shift:
    """How far one feature moved; None where there are no such rows."""

    name: str
    holdout: float | None
    replay: float | None

    @property
    def largest(self) -> float:
        return max(self.holdout or 0.0, self.replay or 0.0)


@dataclass(frozen=True)
class Change:
    """One line: what the training rows, the compared rows and the replayed requests hold."""

    name: str
    training: str
    holdout: str
    replay: str


def shifts(rows: ReportRows | None) -> list[Shift]:
    """The most shifted first."""
    if rows is None or rows.training is None or not len(rows.training):
        return []
    found = []
    for k, feature in enumerate(rows.names):
        coded, learned = feature in rows.categorical, rows.training.features[:, k]
        each = [_shift(learned, part, k, categorical=coded) for part in (rows.holdout, rows.replay)]
        found.append(Shift(name(feature), *each))
    return sorted(found, key=lambda shift: -shift.largest)


def _shift(learned: Floats, part: Rows | None, k: int, *, categorical: bool) -> float | None:
    if part is None or not len(part):
        return None
    return feature_shift(_sampled(learned), _sampled(part.features[:, k]), categorical=categorical)


def _sampled(values: Floats) -> Floats:
    """Evenly chosen rows: an index of thousands of rows doesn't get truer by more of them."""
    return values[:: max(1, len(values) // _SAMPLE)]


def changes(rows: ReportRows | None, task: Task, classes: Sequence[str]) -> list[Change]:
    """Row counts, labels, then what is missing or new in the features."""
    if rows is None or rows.training is None:
        return []
    parts = (rows.training, rows.holdout, rows.replay)
    found = [
        Change("rows", *(_each(part, lambda p: f"{len(p):,}") for part in parts)),
        Change("rows a day", *(_each(part, _a_day) for part in parts)),
        Change("with a label", *(_each(part, lambda p: percent(float(np.isfinite(p.label).mean()))) for part in parts)),
    ]
    return [*found, *_labels(parts, task, classes), *_missing(rows), *_new_codes(rows)]


def _each(part: Rows | None, say: Callable[[Rows], str]) -> str:
    return say(part) if part is not None and len(part) else ""


def _a_day(part: Rows) -> str:
    moments = part.event_time[~np.isnat(part.event_time)].astype("datetime64[us]").astype(np.int64)
    days = len(np.unique(moments // _MICROSECONDS_A_DAY))
    return f"{len(part) / days:,.0f} on {days:,} days" if days else f"{len(part):,}"


def _labels(parts: Sequence[Rows | None], task: Task, classes: Sequence[str]) -> Iterator[Change]:
    known = [None if part is None else part.label[np.isfinite(part.label)] for part in parts]
    if task is Task.REGRESSION:
        yield Change("mean label", *(number(float(y.mean())) if y is not None and y.size else "" for y in known))
        yield Change("label's spread (SD)", *(number(float(y.std())) if y is not None and y.size else "" for y in known))
        return
    for code, label in _label_names(task, classes):
        yield Change(label, *(percent(float((y == code).mean())) if y is not None and y.size else "" for y in known))


def _label_names(task: Task, classes: Sequence[str]) -> Iterator[tuple[int, str]]:
    if task is Task.BINARY:
        yield 1, "label is 1"
        return
    yield from ((code, f"class {name(each)}") for code, each in enumerate(classes[:_CODES]))


def _missing(rows: ReportRows) -> Iterator[Change]:
    """Features of which clearly more or less is missing than in training."""
    assert rows.training is not None  # the caller asked
    parts = (rows.training, rows.holdout, rows.replay)
    for k, feature in enumerate(rows.names):
        share = [None if part is None or not len(part) else float(np.isnan(part.features[:, k]).mean()) for part in parts]
        there = [each for each in share if each is not None]
        if there and max(there) - min(there) >= _JUMP:
            yield Change(f"{name(feature)} missing", *("" if each is None else percent(each) for each in share))


def _new_codes(rows: ReportRows) -> Iterator[Change]:
    """Categories that the models have never seen."""
    assert rows.training is not None  # the caller asked
    for k, feature in enumerate(rows.names):
        if feature not in rows.categorical:
            continue
        learned = rows.training.features[:, k]
        new = [[] if part is None else unseen(learned, part.features[:, k]) for part in (rows.holdout, rows.replay)]
        if any(new):
            yield Change(f"{name(feature)}: new codes", "", *(_listed(codes) for codes in new))


def _listed(codes: list[float]) -> str:
    more = f" and {len(codes) - _CODES} more" if len(codes) > _CODES else ""
    return ", ".join(value(code) for code in codes[:_CODES]) + more
