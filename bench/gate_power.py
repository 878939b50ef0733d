"""How often the gate finds a champion that is spoiled by construction, and whether the power it shows can be believed.

The world is that of bench/spoiled.py: flights, with the days' own levels at a third (calm) or in full (storms). A champion is
spoiled by noise, by a scale (too sure of itself), by a shift (too low; `shift_up`: too high), in one slice, or by being stale,
until its log loss is 5 % higher than the challenger's; `_2` and `_10` are 2 % and 10 %. Evidence accrues from week to week and
the gate looks after two, three and four weeks, at the strict gate as one of two and of three comparisons. `promoted` is the
share of challengers that were promoted at any of these looks.

`promised` is what the power shown to reviewers said of the look at four weeks: the probability that the primary passes, given
the true gain; `found` is the share that this look promoted. `equal` are rivals that are no better.

    python -m bench.gate_power [--trials 100] [--json]
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from bench.printed import printed
from bench.spoiled import DEFECTS, EQUAL, World, world
from contracts.evaluation import GateKind, GatePolicy, Judgement, Verdict
from policies.chance import student_tail
from policies.gate import judge
from policies.paired import PairedScores

ROWS = {168: 0.5, 1000: 0.5, 6300: 1.0, 50000: 0.05}
"""Rows a week, with the share of the trials that they get."""
SIZES = {"": 0.05, "_2": 0.02, "_10": 0.10}
WORLDS = {"": 1 / 3, "storms_": 1.0}
GATE = GatePolicy(resamples=200)
PROVEN = GatePolicy(resamples=200, guards="proven")
"""A promotion rests on point figures and t; of proven guards on the ends of intervals, too."""
_LOOKS = (2, 3, 4)
_MANY = 6300
_TRAINED = datetime(2026, 1, 1, tzinfo=UTC)
_BINS = ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.01))


@dataclass(frozen=True)
class Job:
    """One line of the table."""

    world: str
    defect: str
    size: str
    rows: int
    trials: int

    @property
    def name(self) -> str:
        return f"{self.world}{self.defect}{self.size}.{self.rows}"


@dataclass(frozen=True)
class Seen:
    """One challenger at one gate."""

    job: Job
    kind: GateKind
    promoted: bool
    """At any look."""
    found: bool
    """At the last one."""
    promised: float
    proven: bool | None = None
    """The last look with proven guards; for noise at the refresh gate alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--trials",
        type=int,
        default=100,
        help="challengers a line at 6,300 rows a week (default 100); half of it at fewer rows, a twentieth at 50,000",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object on the last line")
    asked = parser.parse_args()
    printed("gate_power", measure(asked.trials), as_json=asked.json)


def measure(trials: int) -> dict[str, float]:
    """Every figure by its name."""
    with ProcessPoolExecutor(2) as pool:
        seen = [one for part in pool.map(tried, list(jobs(trials))) for one in part]
    return {**_table(seen), **_promise(seen), "trials": len(seen)}


def jobs(trials: int) -> Iterator[Job]:
    """5 % defects against all numbers of rows, other sizes and storms at 6,300 rows a week alone."""
    many = {rows: max(4, round(trials * share)) for rows, share in ROWS.items()}
    for defect in (*DEFECTS, EQUAL):
        yield from (Job("", defect, "", rows, of) for rows, of in many.items())
    for defect in DEFECTS:
        yield from (Job("", defect, size, _MANY, max(4, trials * 3 // 10)) for size in ("_2", "_10"))
        yield Job("storms_", defect, "", _MANY, max(4, trials * 3 // 10))


def tried(job: Job) -> list[Seen]:
    """All trials of one line."""
    return tried_in(_world(job.world), job)


def tried_in(here: World, job: Job) -> list[Seen]:
    """The same in any world."""
    rng = np.random.default_rng([job.rows, *job.name.encode()])
    share = SIZES[job.size]
    champion = None if job.defect == EQUAL else here.spoiled(job.defect, share)
    gain = 0.0 if champion is None else share * here.loss(here.good)
    drawn = (here.drawn(rng, champion, job.rows // 7, 7 * _LOOKS[-1]) for _ in range(job.trials))
    return [_seen(job, kind, pair, gain) for pair in drawn for kind in GateKind]


@cache
def _world(name: str) -> World:
    return world(WORLDS[name])


def _seen(job: Job, kind: GateKind, pair: PairedScores, gain: float) -> Seen:
    last = _judged(pair, kind, len(_LOOKS), GATE)
    found = last.verdict is Verdict.PROMOTE
    promoted = found or any(
        _judged(pair.chosen(pair.day < 7 * weeks), kind, look, GATE).verdict is Verdict.PROMOTE
        for look, weeks in enumerate(_LOOKS[:-1], start=1)
    )
    proven = None
    if kind is GateKind.REFRESH and job.defect == "noise" and job.rows <= _MANY:
        proven = found and _judged(pair, kind, len(_LOOKS), PROVEN).verdict is Verdict.PROMOTE
    return Seen(job, kind, promoted, found, _promised(last, gain), proven)


def _judged(pair: PairedScores, kind: GateKind, look: int, gate: GatePolicy) -> Judgement:
    """The `look`-th comparison with the same champion, which was promoted when the evidence began."""
    ahead = gate.newer_data if kind is GateKind.REFRESH else timedelta(0)
    return judge(
        holdout=pair,
        replay=PairedScores.empty(),
        gate=gate,
        threshold=0.5,
        champion_trained_through=_TRAINED,
        challenger_trained_through=_TRAINED + ahead,
        weeks_since_promotion=float(_LOOKS[look - 1]),
        evidence_digest="0" * 64,
        family=look,
    )


def _promised(judgement: Judgement, gain: float) -> float:
    """The probability of passing that the shown standard error and least gain imply for the true gain."""
    power = judgement.power
    if power is None or power.standard_error == 0:
        return math.nan
    return 1 - student_tail((gain - power.least_gain) / power.standard_error, judgement.effective_blocks - 1)


def _table(seen: Sequence[Seen]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in dict.fromkeys(one.job.name for one in seen):
        for kind in GateKind:
            those = [one for one in seen if one.job.name == name and one.kind is kind]
            line = f"{name}.{kind.value}"
            found[f"{line}.promoted"] = _share([one.promoted for one in those])
            found[f"{line}.found"] = _share([one.found for one in those])
            found[f"{line}.promised"] = float(np.nanmean([one.promised for one in those]))
            proven = [one.proven for one in those if one.proven is not None]
            if proven:
                found[f"{line}.found_if_guards_proven"] = _share(proven)
    return found


def _promise(seen: Sequence[Seen]) -> dict[str, float]:
    """Promised against found, over all looks at four weeks at champions that are worse, by what was promised."""
    judged = [one for one in seen if one.job.defect not in (EQUAL, "shift_up") and not math.isnan(one.promised)]
    found: dict[str, float] = {}
    for low, high in _BINS:
        those = [one for one in judged if low <= one.promised < high]
        if those:
            name = f"promise_{100 * low:.0f}_{100 * min(high, 1):.0f}"
            found[f"{name}.promised"] = float(np.mean([one.promised for one in those]))
            found[f"{name}.found"] = _share([one.found for one in those])
            found[f"{name}.looks"] = len(those)
    return found


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)


if __name__ == "__main__":
    main()
