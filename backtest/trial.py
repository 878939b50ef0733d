"""A whole backtest: read, play, judge in hindsight. What it finds is written by `backtest/outputs.py`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from backtest.arms import ARMS, HOMEOSTAT
from backtest.data.card import Card, CardFile
from backtest.data.history import PlayedHistory, history_of
from backtest.data.raw_table import RawTable
from backtest.data.reading import Material, read_table
from backtest.data.watched import Watched
from backtest.engine import Outcome, Policy, run
from backtest.hindsight import Hindsight, Judged
from backtest.kept_scores import KeptScores
from backtest.policy_file import TriedPolicy, policy_for
from backtest.scoring import arm_metrics
from learning.rows import Floats


@dataclass(frozen=True)
class Step:
    """Where a backtest stands, for whoever watches."""

    what: str
    done: int
    of: int | None
    """None while nobody knows."""
    at: datetime | None = None
    promotions: int = 0


Told = Callable[[Step], None]


@dataclass(frozen=True)
class PeriodLine:
    """One period in figures."""

    start: datetime
    end: datetime
    rows: int
    labelled: int
    metrics: dict[str, dict[str, float]]
    """By arm; empty where no label is known."""
    promotions: dict[str, int]
    """By arm, so far."""
    recalibrations: int
    seconds: float
    fits: int


@dataclass(frozen=True)
class Played:
    """Everything that the outputs are made of."""

    card: Card
    tried: TriedPolicy
    policy: Policy
    history: PlayedHistory
    lines: list[PeriodLine]
    decisions: list[Judged]
    scores: KeptScores
    watched: Watched
    reading_seconds: float
    playing_seconds: float

    @property
    def material(self) -> Material:
        return self.history.material


def try_policy(*, data: Path, source: CardFile, tried: TriedPolicy, folder: Path, now: datetime, told: Told) -> Played:
    """Play the policy over the file; `folder` is for what doesn't fit into memory, and is the caller's to remove.

    Raises: Invalid, CardError where nothing can be done.
    """
    began = time.perf_counter()
    history = _read(data, source, folder, now, told)
    policy = policy_for(tried, history.material)
    kept = KeptScores(folder, policy.task, policy.classes, history.material.columns.slices)
    watched = Watched(history, history.material)
    hindsight, lines, read = Hindsight(policy.task), list[PeriodLine](), time.perf_counter()
    told(Step("fitting the first window", 0, history.count))
    for number, outcome in enumerate(run(watched, policy)):
        kept.add(outcome)
        hindsight.take(number, outcome)
        lines.append(_line(outcome, policy))
        told(Step("playing", number + 1, history.count, outcome.period.end, outcome.promotions[HOMEOSTAT]))
    return Played(
        card=source.card,
        tried=tried,
        policy=policy,
        history=history,
        lines=lines,
        decisions=list(hindsight.closed()),
        scores=kept,
        watched=watched,
        reading_seconds=read - began,
        playing_seconds=time.perf_counter() - read,
    )


def _read(data: Path, source: CardFile, folder: Path, now: datetime, told: Told) -> PlayedHistory:
    table = RawTable(data)
    table.survey()
    return history_of(read_table(source, table, folder, now, lambda rows: told(Step("reading", rows, None))), now)


def _line(outcome: Outcome, policy: Policy) -> PeriodLine:
    known = ~np.isnan(outcome.period.label)
    label = outcome.period.label[known]
    return PeriodLine(
        start=outcome.period.start,
        end=outcome.period.end,
        rows=len(outcome.period),
        labelled=int(known.sum()),
        metrics={arm: _metrics(label, outcome.scores[arm][known], policy) for arm in ARMS} if len(label) else {},
        promotions=dict(outcome.promotions),
        recalibrations=outcome.recalibrations,
        seconds=outcome.seconds,
        fits=outcome.fits,
    )


def _metrics(label: Floats, score: Floats, policy: Policy) -> dict[str, float]:
    return arm_metrics(label, score, policy.task, policy.threshold)
