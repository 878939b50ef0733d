"""What the loop's decisions cost against the best simple habit, on sets that move in three ways.

Bikes grow and change by the season, flights are hard to foretell, and bikes in random order of time don't drift at all. One
default policy plays all three in simulated time. The constants were chosen on the first half of each set's time; the
second half is the proof. Differences carry intervals over blocks of days.

    python -m bench.regret [--sets bikeshare,flights,stationary|generated] [--halves first,second] [--json]
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from backtest.arms import ARMS, HABITS, HOMEOSTAT
from backtest.engine import Policy, run
from backtest.periods import Table
from bench.datasets import SETS, DataSet, load
from bench.generated import SHAPES, generate
from learning.rows import Floats, Times, microseconds
from policies import metrics

HALVES = ("first", "second")
METRICS = ("accuracy", "brier", "log_loss", "recall", "auc")
_DAY = 86_400_000_000
_DRAWS = 1000
_TOLD = 20


@dataclass(frozen=True)
class Served:
    """What every arm answered over a stretch of time."""

    day: Times
    label: Floats
    scores: dict[str, Floats]
    promotions: dict[str, int]
    recalibrations: int
    weeks: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS), help="by commas, or 'generated' (default the three real ones)")
    parser.add_argument("--halves", default=",".join(HALVES), help="'first' ends each set in its middle (default both)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object on the last line")
    asked = parser.parse_args()
    names = list(SHAPES) if asked.sets == "generated" else asked.sets.split(",")
    halves = asked.halves.split(",")
    if set(names) - {*SETS, *SHAPES} or set(halves) - set(HALVES):
        parser.error(f"the sets are {', '.join((*SETS, *SHAPES))}, the halves {', '.join(HALVES)}")
    figures: dict[str, float] = {}
    with ProcessPoolExecutor(2) as pool:
        for found in pool.map(measure, names, [halves] * len(names)):
            figures |= found
    report(names, halves, figures)
    if asked.json:
        print(json.dumps({"bench": "regret", "machine": _machine(), "figures": figures}))


def measure(name: str, halves: Sequence[str]) -> dict[str, float]:
    """Every figure of one set by its name; only the halves asked for are ever read."""
    began, found = time.monotonic(), dict[str, float]()
    for half, served in zip(
        HALVES, play(generate(name) if name in SHAPES else load(name), only_first="second" not in halves), strict=False
    ):
        if half in halves:
            found |= {f"{name}.{half}.{key}": value for key, value in summary(served).items()}
    return found | {f"{name}.seconds": round(time.monotonic() - began, 1)}


def play(data: DataSet, policy: Policy | None = None, *, only_first: bool = False) -> Iterator[Served]:
    """Both halves of one run, or the first alone: then the second half's rows are not even handed to the loop."""
    chosen = policy or Policy(features=data.features)
    table = _until(data.table, data.middle) if only_first else data.table
    parts: dict[bool, list[Served]] = {False: [], True: []}
    for outcome in run(table, chosen):
        known = ~np.isnan(outcome.period.label)
        part = Served(
            day=outcome.period.event_time[known] // _DAY,
            label=outcome.period.label[known],
            scores={arm: score[known] for arm, score in outcome.scores.items()},
            promotions=outcome.promotions,
            recalibrations=outcome.recalibrations,
            weeks=1,
        )
        parts[outcome.period.start >= data.middle].append(part)
        _tell(data.name, outcome.period.end, len(parts[False]) + len(parts[True]), part)
    yield _joined(parts[False], None)
    if parts[True]:
        yield _joined(parts[True], parts[False][-1] if parts[False] else None)


def _until(table: Table, end: datetime) -> Table:
    rows = table.event_time < microseconds(end)
    return Table(
        table.event_time[rows], table.known_at[rows], table.features[rows], table.label[rows], table.first_window, table.period
    )


def _joined(parts: Sequence[Served], before: Served | None) -> Served:
    """One stretch of several periods; counters start anew."""
    last = parts[-1]
    return Served(
        day=np.concatenate([part.day for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        scores={arm: np.concatenate([part.scores[arm] for part in parts]) for arm in ARMS},
        promotions={arm: last.promotions[arm] - (before.promotions[arm] if before else 0) for arm in ARMS},
        recalibrations=last.recalibrations - (before.recalibrations if before else 0),
        weeks=len(parts),
    )


def summary(served: Served) -> dict[str, float]:
    """Metrics of each arm, and homeostat's difference to the habit that is best in hindsight."""
    found = {f"{arm}.{name}": value for arm in ARMS for name, value in _metrics(served.label, served.scores[arm]).items()}
    found |= {f"{arm}.promotions": served.promotions[arm] for arm in ARMS}
    found[f"{HOMEOSTAT}.recalibrations"] = served.recalibrations
    found["weeks"] = served.weeks
    for name, row in (("accuracy", _hit), ("brier", metrics.row_brier), ("log_loss", metrics.row_log_loss)):
        values = {arm: found[f"{arm}.{name}"] for arm in HABITS}
        best = (max if name == "accuracy" else min)(values, key=values.__getitem__)
        gap = row(served.label, served.scores[HOMEOSTAT]) - row(served.label, served.scores[best])
        low, high = interval(served.day, gap)
        against = {"difference": float(gap.mean()), "difference_low": low, "difference_high": high}
        found |= {f"{HOMEOSTAT}.{name}_{key}": value for key, value in against.items()}
    return found


def _hit(label: Floats, score: Floats) -> Floats:
    return np.asarray((score >= 0.5) == (label == 1), dtype=np.float64)


def _metrics(label: Floats, score: Floats) -> dict[str, float]:
    return {
        "accuracy": metrics.accuracy(label, score, 0.5),
        "brier": metrics.brier(label, score),
        "log_loss": metrics.log_loss(label, score),
        "recall": metrics.recall(label, score, 0.5),
        "auc": metrics.auc(label, score),
    }


def interval(day: Times, gap: Floats) -> tuple[float, float]:
    """95 % interval of the mean gap, days drawn as blocks."""
    _, place, count = np.unique(day, return_inverse=True, return_counts=True)
    total = np.bincount(place, weights=gap)
    drawn = np.random.default_rng(20240229).integers(0, len(count), size=(_DRAWS, len(count)))
    low, high = np.quantile(total[drawn].sum(axis=1) / count[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def report(names: Sequence[str], halves: Sequence[str], figures: dict[str, float]) -> None:
    """The table, and beneath each half homeostat's difference to the best habit."""
    for name in names:
        for half in (half for half in halves if f"{name}.{half}.weeks" in figures):
            print(f"\n{name}, {half} half: {figures[f'{name}.{half}.weeks']:.0f} weeks")
            print(f"{'':<12}" + "".join(f"{metric:>10}" for metric in METRICS) + f"{'promotions':>12}")
            for arm in ARMS:
                row = "".join(f"{figures[f'{name}.{half}.{arm}.{metric}']:>10.4f}" for metric in METRICS)
                print(f"{arm:<12}{row}{figures[f'{name}.{half}.{arm}.promotions']:>12.0f}")
            print(f"recalibrations {figures[f'{name}.{half}.{HOMEOSTAT}.recalibrations']:.0f}; against the best habit:")
            for metric in METRICS[:3]:
                mean, low, high = (
                    figures[f"{name}.{half}.{HOMEOSTAT}.{metric}_difference{end}"] for end in ("", "_low", "_high")
                )
                print(f"  {metric:<10}{mean:+.4f} [{low:+.4f}, {high:+.4f}]")


def _tell(name: str, end: datetime, played: int, part: Served) -> None:
    """A line now and then, so that whoever waits sees how far it is."""
    if played % _TOLD == 0:
        print(f"{name} {end:%Y-%m-%d}: {played} weeks, {part.promotions[HOMEOSTAT]} promotions", file=sys.stderr, flush=True)


def _machine() -> dict[str, str | int | None]:
    return {"cpus": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}


if __name__ == "__main__":
    main()
