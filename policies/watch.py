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
"""

import math

import numpy as np

from contracts.rollout import WatchReport
from policies.metrics import Floats, row_brier
from policies.paired import Days, checked_scores

_CORRELATION = 0.06
"""Correlation of differences within a day before any was seen: the mean on the hourly bikes, over 216 pairs of models."""
_PRIOR_DAYS = 3.0
"""How many days of data the prior weighs."""
_STAKES = np.array([0.1, 0.3, 0.9])
"""Below 1, or one row could ruin the bettor."""
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
) -> WatchReport:
    """Look at the labelled rows so far, in time order; each array has shape (n,), n may be 0.

    `day` is the day of each row's event time. `worse` once the e-value has ever reached 1 / alpha: a later recovery takes
    nothing back. `margin` is the difference in Brier score, absolute, that still counts as not worse. `complete` says that
    every label of the watch has arrived. Raises ValueError for other shapes, for labels but 0 and 1, for scores that are
    no probabilities.
    """
    checked_scores("champion", champion, day.shape)
    checked_scores("former champion", former, day.shape)
    if label.shape != day.shape or not np.isin(label, (0.0, 1.0)).all():
        raise ValueError("the watch takes labelled rows only: one label, 0 or 1, for each row")
    after, before = row_brier(label, champion), row_brier(label, former)
    evidence = e_value(after - before, day, margin)
    report = WatchReport(
        complete=complete,
        worse=evidence >= 1 / alpha,
        rows=len(label),
        evidence=evidence,
        brier_champion=float(after.mean()) if len(label) else None,
        brier_former=float(before.mean()) if len(label) else None,
        sentence="",
    )
    return report.model_copy(update={"sentence": _sentence(report, alpha)})


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
    if report.brier_champion is None or report.brier_former is None:
        return "No label has come since the promotion, so nothing is known about it."
    scores = f"{report.brier_champion:.3f} against {report.brier_former:.3f}"
    figures = f"Brier score {scores} of the former champion on {report.rows:,} rows"
    bound = f"e-value {report.evidence:.3g}, worse from {1 / alpha:g}"
    if report.worse:
        return f"The new champion is worse: {figures} ({bound})."
    so_far = "over the whole watch" if report.complete else "so far"
    return f"The new champion is not shown to be worse {so_far}: {figures} ({bound})."
