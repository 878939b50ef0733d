"""How often the gate promotes an equal rival, and how often it finds a better one, on the hourly bikes.

Equal pairs are two models of the same recipe and the same 30 days of rows that differ in the seed of their bagging.
A pair is looked at on 12 consecutive weeks, each time fitted again and compared on the 14 days after. Models trained on
older rows, on more rows, and ones with spoilt scores measure the power. Promotion rests on point figures and t, so the
least number of resamples is enough here.

    python -m bench.gate_null [--starts 18] [--json]
"""

import argparse
import json
import os
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations

import lightgbm
import numpy as np
from numpy.typing import NDArray

from contracts.evaluation import GatePolicy, Judgement, Verdict
from demo.data import load_hours
from policies.gate import judge
from policies.metrics import Floats
from policies.paired import PairedScores

LOOKS = 12
SEEDS = 6
GATE = GatePolicy(resamples=200)
_NOW = datetime(2020, 1, 1, tzinfo=UTC)
_SETTINGS = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 40,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "feature_fraction": 0.8,
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Table:
    """The bikes by the hour: day (n,) since 1970, features (n, 5), busy (n,)."""

    day: NDArray[np.int64]
    features: Floats
    busy: Floats

    def fit(self, start: int, end: int, seed: int) -> lightgbm.Booster:
        rows = (self.day >= start) & (self.day < end)
        return lightgbm.train(_SETTINGS | {"seed": seed}, lightgbm.Dataset(self.features[rows], self.busy[rows]), 200)


@dataclass(frozen=True)
class Look:
    """One week: scores of every model on the same 14 days."""

    start: int
    """First day of the chain of weeks that this look belongs to."""
    day: NDArray[np.int64]
    label: Floats
    equal: list[Floats]
    stale: Floats
    """Fitted on 30 days that ended 30 days ago."""
    longer: Floats
    """Fitted on 90 days."""

    def judged(self, champion: Floats, challenger: Floats, *, newer: timedelta) -> Judgement:
        return judge(
            holdout=PairedScores(day=self.day, label=self.label, champion=champion, challenger=challenger),
            replay=PairedScores.empty(),
            gate=GATE,
            threshold=0.5,
            champion_trained_through=_NOW - newer,
            challenger_trained_through=_NOW,
            weeks_since_promotion=4.0,
            evidence_digest="0" * 64,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=18, help="chains of 12 weeks, spread over the set (default 18)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object on the last line")
    asked = parser.parse_args()
    figures = measure(list(looks(_table(), asked.starts)))
    for name, value in figures.items():
        print(f"{name:<34}{value:>10.4g}")
    if asked.json:
        print(json.dumps({"bench": "gate_null", "machine": _machine(), "figures": figures}))


def looks(table: Table, starts: int) -> Iterator[Look]:
    """Weeks in chains of 12; the first chain begins after 400 days."""
    first, last = int(table.day[0]) + 400, int(table.day[-1]) - 15 - 7 * LOOKS
    for start in np.linspace(first, last, starts).astype(int).tolist():
        for week in range(LOOKS):
            yield _look(table, start, week)


def _look(table: Table, start: int, week: int) -> Look:
    cut = start + 7 * week
    held_out = (table.day >= cut) & (table.day < cut + 14)
    rows = table.features[held_out]
    return Look(
        start=start,
        day=table.day[held_out],
        label=table.busy[held_out],
        equal=[_scores(table.fit(cut - 30, cut, 1000 * seed + week), rows) for seed in range(SEEDS)],
        stale=_scores(table.fit(cut - 60, cut - 30, 1), rows),
        longer=_scores(table.fit(cut - 90, cut, 1), rows),
    )


def _scores(model: lightgbm.Booster, rows: Floats) -> Floats:
    return np.asarray(model.predict(rows), dtype=np.float64)


def measure(seen: Sequence[Look]) -> dict[str, float]:
    """Every figure by its name; rates are shares of looks."""
    month = timedelta(days=30)
    return {
        **_null(seen),
        **_power("refresh_stale_to_90_days", [x.judged(x.stale, x.longer, newer=month) for x in seen]),
        **_power("refresh_30_to_90_days", [x.judged(x.equal[0], x.longer, newer=month) for x in seen]),
        **_power("refresh_stale_to_fresh", [x.judged(x.stale, x.equal[0], newer=month) for x in seen]),
        **_power("refresh_fresh_to_stale", [x.judged(x.equal[0], x.stale, newer=month) for x in seen]),
        **_power("strict_spoilt_to_sound", [x.judged(_spoilt(x.longer), x.longer, newer=timedelta(0)) for x in seen]),
    }


def _null(seen: Sequence[Look]) -> dict[str, float]:
    """Equal pairs in both gates; a pair is known by its chain and its two seeds."""
    pairs = list(combinations(range(SEEDS), 2))
    strict: Counter[tuple[int, int, int]] = Counter()
    refresh = 0
    for look in seen:
        for one, other in pairs:
            champion, challenger = look.equal[one], look.equal[other]
            strict[look.start, one, other] += _promotes(look.judged(champion, challenger, newer=timedelta(0)))
            refresh += _promotes(look.judged(champion, challenger, newer=GATE.newer_data))
    total = len(seen) * len(pairs)
    return {
        "pairs": len(strict),
        "looks": total,
        "false_promotion_rate": sum(strict.values()) / total,
        "false_promotion_ever": sum(count > 0 for count in strict.values()) / len(strict),
        "refresh_false_promotion_rate": refresh / total,
    }


def _power(name: str, judged: Sequence[Judgement]) -> dict[str, float]:
    """Shares promoted and called a regress, how often it was better on the rows, and what the guards cost."""
    promoted = [j for j in judged if _promotes(j)]
    return {
        f"{name}_better": sum(j.relative_gain > 0 for j in judged) / len(judged),
        f"{name}_promoted": len(promoted) / len(judged),
        f"{name}_regress": sum(j.verdict is Verdict.REGRESS for j in judged) / len(judged),
        f"{name}_if_guards_had_to_be_proven": sum(_proven(j) for j in promoted) / len(judged),
    }


def _proven(judgement: Judgement) -> bool:
    """Whether every guard's whole interval lies within its margin."""
    return all(c.low >= -c.margin for c in judgement.comparisons if c.margin is not None)


def _promotes(judgement: Judgement) -> bool:
    return judgement.verdict is Verdict.PROMOTE


def _spoilt(score: Floats) -> Floats:
    """The same ranking with scores that are too low and too timid."""
    return 1 / (1 + np.exp(0.5 - 0.6 * np.log(score / (1 - score))))


def _table() -> Table:
    hours = load_hours()
    moments = np.array([when.timestamp() for when in hours.event_time])
    return Table(day=(moments // 86400).astype(np.int64), features=hours.features, busy=hours.busy)


def _machine() -> dict[str, str | int | None]:
    return {"cpus": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}


if __name__ == "__main__":
    main()
