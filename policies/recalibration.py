"""Recalibration: a small shift of a model's margins, and whether it is on, from its own prequential record.

Cheaper than a promotion and reversible: level shifts (more demand, a new season) are most of what a model loses in weeks.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from contracts.bench import RecalibrationPolicy
from contracts.training import Task
from policies.bench_record import Times, complete, microseconds, row_loss, span
from policies.blend import linked
from policies.metrics import Floats

_DAY = 86_400_000_000
_STEPS = 30
_LEAST = 1e-12


@dataclass(frozen=True)
class Recalibration:
    """What the policy wants in service."""

    on: bool
    shift: tuple[float, ...]
    """One number, or one for each class."""
    gain: float
    """Relative gain of the record: what the shifts of earlier periods would have gained on the rows that followed."""
    changed: bool
    """Whether `shift` differs from the one in service by enough to act."""


@dataclass(frozen=True)
class History:
    """One model's margins without shift on rows with labels, in any order; shapes (n,), margin (n, K) for a multiclass task."""

    event_time: Times
    known_at: Times
    label: Floats
    margin: Floats
    task: Task

    def __post_init__(self) -> None:
        if not complete(self.margin).all():
            raise ValueError("a margin is missing: leave out the rows without a fit")

    def fit(self, *, now: int, policy: RecalibrationPolicy) -> Floats:
        """The shift by what was known at `now` (microseconds), of the rows of the policy's window; zeros without rows."""
        window = span(policy.window)
        rows = (self.known_at <= now) & (self.event_time >= now - window) & (self.event_time < now)
        day = self.event_time[rows] // _DAY
        _, place, count = np.unique(day, return_inverse=True, return_counts=True)
        weight = np.minimum(1.0, policy.max_rows_per_day / count)[place]
        return _fitted(self.label[rows], self.margin[rows], weight, self.task, policy)

    def trial(self, *, now: int, period: int, policy: RecalibrationPolicy) -> Floats:
        """The shift that each row of the last window would have met, fitted before its period; zeros elsewhere."""
        shift = np.zeros(self.margin.shape)
        for back in range(1, max(1, span(policy.window) // period) + 1):
            start = now - back * period
            rows = (self.event_time >= start) & (self.event_time < start + period)
            if rows.any():
                found = self.fit(now=start, policy=policy)
                shift[rows] = found if self.margin.ndim > 1 else found[0]
        return shift


def recalibration(
    *, history: History, trial: Floats, now: datetime, was_on: bool, present: tuple[float, ...], policy: RecalibrationPolicy
) -> Recalibration:
    """Whether a shift should be in service from `now` on, and which.

    `trial` is `history.trial(...)` as of `now`. It turns on at a gain of `on_gain` and off again below `off_gain`.
    """
    none = (0.0,) * len(present)
    gain = _gain(history, trial, microseconds(now), policy)
    on = policy.enabled and len(history.label) > 0 and gain >= (policy.off_gain if was_on else policy.on_gain)
    wanted = tuple(history.fit(now=microseconds(now), policy=policy).tolist()) if on else none
    scale = _spread(history.label) if history.task is Task.REGRESSION else 1.0
    far = max(abs(one - other) for one, other in zip(wanted, present, strict=True)) >= policy.least_change * scale
    changed = far or (not on and any(present))
    return Recalibration(on=on, shift=wanted if changed else present, gain=gain, changed=changed and wanted != present)


def _gain(history: History, trial: Floats, now: int, policy: RecalibrationPolicy) -> float:
    rows = (history.known_at <= now) & (history.event_time >= now - span(policy.window))
    if not rows.any():
        return 0.0
    label, margin, task = history.label[rows], history.margin[rows], history.task
    before = float(row_loss(label, linked(margin, task=task), task).sum())
    after = float(row_loss(label, linked(margin + trial[rows], task=task), task).sum())
    return (before - after) / max(before, _LEAST)


def _fitted(label: Floats, margin: Floats, weight: Floats, task: Task, policy: RecalibrationPolicy) -> Floats:
    """The ridge-penalised shift, bounded; shape (1,) or (K,)."""
    width = margin.shape[1] if margin.ndim > 1 else 1
    if not len(label):
        return np.zeros(width)
    if task is Task.REGRESSION:
        found = np.array([(weight * (label - margin)).sum() / (weight.sum() + policy.ridge)])
        return np.asarray(np.clip(found, -policy.max_shift * _spread(label), policy.max_shift * _spread(label)))
    hit = label[:, None] == np.arange(width) if width > 1 else label[:, None]
    return _newton(hit.astype(np.float64), margin.reshape(len(label), width), weight, task, policy)


def _newton(hit: Floats, margin: Floats, weight: Floats, task: Task, policy: RecalibrationPolicy) -> Floats:
    """Newton's steps, each class for itself: within a rounding of the optimum, and the same everywhere."""
    shift = np.zeros(margin.shape[1])
    for _ in range(_STEPS):
        score = linked(margin + shift, task=task)
        slope = (weight[:, None] * (hit - score)).sum(axis=0) - policy.ridge * shift
        curve = (weight[:, None] * score * (1 - score)).sum(axis=0) + policy.ridge + _LEAST
        step = np.clip(slope / curve, -1.0, 1.0)
        shift = np.clip(shift + step, -policy.max_shift, policy.max_shift)
        if np.abs(step).max() < _LEAST:
            break
    return shift


def _spread(label: Floats) -> float:
    return float(label.std()) if len(label) else 0.0
