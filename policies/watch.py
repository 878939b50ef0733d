"""The days after a promotion: is the new champion worse than the former one, on the same requests?

Late labels come in one by one and people look whenever they like, so an ordinary test would raise false alarms sooner or
later. This one bets: starting with 1, it stakes a share of its wealth on every row's difference in squared error being
above the margin. While the champion is not worse than the margin, wealth can't be expected to grow, and by Ville's
inequality it ever reaches 1 / alpha with probability alpha at most, however often one looks. A dozen stakes run side by
side and their mean counts, so nothing has to be tuned.

Rows of one day rise and fall together, which lets wealth swing further than it should: with 500 rows a day and a day
effect that is common on real data, bets on rows alone give 48 % false alarms instead of 1 %. So the log of each day's
winnings is divided by the day's design effect, 1 + (rows - 1) * correlation. The correlation is learned from the days
before, on top of a prior, so that it is fixed before the day's bets are made. That part is no theorem; it is held by
simulation in tests/policies/test_watch.py.

Bets need a difference that is bounded. Of many classes it is half that of the Brier score, so that two classes are bet on
like a binary task. An error in a number has no bound, so a squared error is taken as a share of nine times the mean squared
error of both models on the days before, and counts as 1 beyond that: an error of more than three times the usual one counts
as three times. The first day only sets what is usual. So what is shown is that the champion is worse in errors that are cut
there; one that is worse only in how huge its rarest errors are is not found.
"""

import math
from typing import Any

import numpy as np

from contracts.rollout import WatchReport
from contracts.training import Task
from policies.metrics import Floats, row_brier, row_class_brier, row_squared_error
from policies.paired import Days, PairedScores
from policies.verdict_words import NAMES, number

_CORRELATION = 0.06
"""Correlation of differences within a day before any was seen: the mean on the hourly bikes, over 216 pairs of models."""
_PRIOR_DAYS = 3.0
"""How many days of data the prior weighs."""
_STAKES = np.array([0.1, 0.3, 0.9])
"""Below 1, or one row could ruin the bettor."""
_USUAL = 9.0
"""So many times the mean squared error so far, and a regression's squared error counts no further."""
_MOST = 1e12
_TINY = 1e-15


def watch(
    *,
    label: Floats,
    champion: Floats,
    former: Floats,
    day: Days,
    alpha: float,
    margin: float,
    complete: bool = False,
    task: Task = Task.BINARY,
) -> WatchReport:
    """Look at the labelled rows so far, in time order; arrays have shape (n,), n may be 0; scores as the task has them.

    `day` is the day of each row's event time. `worse` once the e-value has ever reached 1 / alpha: a later recovery takes
    nothing back. `margin` is the difference in the loss that is bet on that still counts as not worse. `complete` says that
    every label of the watch has arrived. Raises ValueError for other shapes, for labels and scores that the task doesn't have.
    """
    rows = PairedScores(day=day, label=label, champion=champion, challenger=former, task=task)
    if np.isnan(label).any():
        raise ValueError("the watch takes labelled rows only: one label for each row")
    after, before = (_LOSSES[task](label, score) for score in (champion, former))
    evidence = e_value(*_bets(after, before, rows), margin)
    report = WatchReport(
        complete=complete,
        worse=evidence >= 1 / alpha,
        rows=len(label),
        evidence=evidence,
        sentence="",
        **_figures(after, before, task),
    )
    return report.model_copy(update={"sentence": _sentence(report, alpha)})


_LOSSES = {Task.BINARY: row_brier, Task.MULTICLASS: row_class_brier, Task.REGRESSION: row_squared_error}


def _bets(after: Floats, before: Floats, rows: PairedScores) -> tuple[Floats, Days]:
    """What is bet on, in [-1, 1], with the day of each."""
    if rows.task is not Task.REGRESSION:
        return (after - before) / (2 if rows.task is Task.MULTICLASS else 1), rows.day
    if not len(rows):
        return after, rows.day
    days, index = np.unique(rows.day, return_inverse=True)
    count: Floats = np.bincount(index).astype(np.float64)
    total: Floats = np.bincount(index, weights=(after + before) / 2).astype(np.float64)
    usual = _before(total) / np.maximum(_before(count), 1)
    most = np.maximum(_USUAL * usual, _TINY)[index]
    later = rows.day > days[0]
    cut = [np.minimum(loss[later] / most[later], 1.0) for loss in (after, before)]
    return cut[0] - cut[1], rows.day[later]


def _figures(after: Floats, before: Floats, task: Task) -> dict[str, Any]:
    """The loss of both as people read it; none without rows."""
    if not len(after):
        return {}
    means = float(after.mean()), float(before.mean())
    if task is Task.REGRESSION:
        return {"metric": "rmse", "loss_champion": math.sqrt(means[0]), "loss_former": math.sqrt(means[1])}
    shown = {"loss_champion": means[0], "loss_former": means[1]}
    return shown | {"brier_champion": means[0], "brier_former": means[1]}


def e_value(difference: Floats, day: Days, margin: float) -> float:
    """The highest wealth ever reached by betting that `difference` (n,), in [-1, 1], has a mean above `margin`.

    At least 1, at most 1e12. Rows of later days never lower it.
    """
    if not len(difference):
        return 1.0
    _, index = np.unique(day, return_inverse=True)
    excess = difference - margin
    winnings = np.log1p(excess[:, None] * (_STAKES / (1 + margin))) / design_effect(excess, index)[index, None]
    log_wealth = np.cumsum(winnings, axis=0)
    top = log_wealth.max(axis=1)
    mixed = top + np.log(np.exp(log_wealth - top[:, None]).mean(axis=1))
    return math.exp(min(max(float(mixed.max()), 0.0), math.log(_MOST)))


def design_effect(value: Floats, index: Days) -> Floats:
    """How much further each day's sum swings than that of independent rows, shape (days,), at least 1.

    `index` is the day of each row, 0 to days - 1. Day d is judged by the days before d alone: their correlation within
    days by the method of moments, blended with the prior by the number of days.
    """
    rows = np.bincount(index).astype(np.float64)
    total: Floats = np.bincount(index, weights=value).astype(np.float64)
    square: Floats = np.bincount(index, weights=value**2).astype(np.float64)
    n, pairs = _before(rows), _before(rows * (rows - 1))
    mean = _before(total) / np.maximum(n, 1)
    scatter = np.maximum(_before(square) - n * mean**2, 0)
    between = np.maximum(_before(total**2) - 2 * mean * _before(rows * total) + mean**2 * _before(rows**2), 0)
    days = np.arange(len(rows), dtype=np.float64)
    known = (days > 1) & (pairs > 0) & (scatter > _TINY)
    seen = (between * days / np.maximum(days - 1, 1) - scatter) * n / np.where(known, pairs * scatter, 1)
    weight = np.where(known, days, 0)
    correlation = (_PRIOR_DAYS * _CORRELATION + weight * np.where(known, seen, 0)) / (_PRIOR_DAYS + weight)
    return 1 + (rows - 1) * np.clip(correlation, 0, 1)


def _before(value: Floats) -> Floats:
    """Sum over the days before each day."""
    return np.concatenate(([0.0], np.cumsum(value)[:-1]))


def _sentence(report: WatchReport, alpha: float) -> str:
    if report.loss_champion is None or report.loss_former is None:
        return "No label has come since the promotion, so nothing is known about it."
    scores = f"{number(report.loss_champion)} against {number(report.loss_former)}"
    figures = f"{NAMES[report.metric]} {scores} of the former champion on {report.rows:,} rows"
    bound = f"e-value {report.evidence:.3g}, worse from {1 / alpha:g}"
    if report.worse:
        return f"The new champion is worse: {figures} ({bound})."
    so_far = "over the whole watch" if report.complete else "so far"
    return f"The new champion is not shown to be worse {so_far}: {figures} ({bound})."
