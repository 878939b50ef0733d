"""The refresh gate where newer data teach nothing: bikes whose hours were shuffled, judged as production judges them.

The shadow bench plays stretches of the shuffled history with the default policy: its record of up to eight weeks, its choice
among blends, urgency and promotion budget. Every promotion there is one too many.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from backtest.arms import HOMEOSTAT
from backtest.engine import Outcome, Policy, run
from backtest.periods import Table
from bench.datasets import DataSet
from learning.rows import microseconds, moment_of

_KNOWN = timedelta(days=365)
_SPARE = 3
"""Weeks at the beginning in which the record is still too short to be judged."""


@dataclass(frozen=True)
class Stretch:
    """Looks of one stretch of weeks, and at how many of them the bench promoted."""

    name: str
    promoted: tuple[bool, ...]


def played(data: DataSet, stretches: int, looks: int) -> Iterator[Stretch]:
    """So many stretches that don't overlap in the weeks that are looked at."""
    table = data.table
    length = table.period * (looks + _SPARE)
    first, last = moment_of(int(table.event_time.min())), moment_of(int(table.event_time.max())) - _KNOWN - length
    for i in range(stretches):
        start = first + (last - first) * i / max(stretches - 1, 1)
        part = replace(_between(table, microseconds(start), microseconds(start + _KNOWN + length)), first_window=_KNOWN)
        yield Stretch(f"{data.name} {start:%Y-%m-%d}", _looked(run(part, Policy(features=data.features)), looks))


def _between(table: Table, start: int, end: int) -> Table:
    rows = np.flatnonzero((table.event_time >= start) & (table.event_time < end))
    return replace(
        table,
        event_time=table.event_time[rows],
        known_at=table.known_at[rows],
        features=table.features[rows],
        label=table.label[rows],
    )


def _looked(outcomes: Iterator[Outcome], looks: int) -> tuple[bool, ...]:
    """The first looks at which there was enough to judge."""
    found, before = list[bool](), 0
    for outcome in outcomes:
        after = outcome.promotions[HOMEOSTAT]
        judged = outcome.decision is not None and outcome.decision.advice.judgement is not None
        if judged and outcome.decision is not None and not _short(outcome):
            found.append(after > before)
        before = after
    return tuple(found[:looks])


def _short(outcome: Outcome) -> bool:
    decision = outcome.decision
    judgement = decision.advice.judgement if decision is not None else None
    return judgement is None or judgement.days < judgement.policy.min_days
