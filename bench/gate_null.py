"""How often the gate promotes a rival that is no better, on the hourly bikes and on flights.

Equal pairs are two models of the same recipe and the same 30 days: other seeds with bagging, other halves of the rows, or
other labels wrong (5 in 100). They are equal by construction, before anybody looks: which one came out luckier plays no part.
Both have seen the same time, so that production routes them to the strict gate. A pair is looked at on 12 consecutive weeks,
each time fitted again and compared on the 14 days after. `kept` pairs (other seeds) are fitted once and looked at 12 times,
as one of ever more comparisons with the same champion.

The refresh gate meets bikes whose hours were shuffled, where newer rows teach nothing new, as the shadow bench routes it
(bench/null_refresh.py). `holdout_refresh` is the way of `judging: on_alarm`: a champion that stays against a rival fitted on
the newest 90 days and 14 days of evidence. There a look is taken only when an alarm came; here it is taken every week.

Rates come with Clopper and Pearson's upper bound of 97.5 %, reckoned on fewer looks than were taken, as the looks of one
chain of weeks rise and fall together. Flights have a tenth of the weeks of bikes.

    python -m bench.gate_null [--starts 12] [--sets bikeshare,flights] [--json]
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations

import lightgbm
import numpy as np
from numpy.typing import NDArray

from bench.datasets import load
from bench.null_refresh import played
from bench.printed import printed
from contracts.evaluation import GatePolicy, Judgement, Verdict
from learning.rows import moment_of
from policies.chance import tail
from policies.gate import gate_kind, judge
from policies.metrics import Floats, log_loss
from policies.paired import Days, PairedScores

LOOKS = 12
MODELS = 4
"""Of each kind; they make six pairs."""
KINDS = ("seeds", "rows", "labels", "kept")
GATE = GatePolicy(resamples=200)
"""A promotion rests on point figures and t, so that the least number of resamples is enough."""
_WEEK, _HELD_OUT, _MONTH, _QUARTER = 7, 14, 30, 90
_WRONG = 0.05
_DAY_US = 86_400_000_000
_ROUNDING = 1e-9
_SETTINGS = {
    "objective": "binary",
    "learning_rate": 0.08,
    "num_leaves": 15,
    "min_data_in_leaf": 40,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "feature_fraction": 0.8,
    "num_threads": 1,
    "verbosity": -1,
}
_ROUNDS = 100


@dataclass(frozen=True)
class History:
    """A set by the day: day (n,) since 1970, features (n, k), label (n,)."""

    name: str
    day: Days
    features: Floats
    label: Floats

    def between(self, start: int, end: int) -> NDArray[np.intp]:
        return np.flatnonzero((self.day >= start) & (self.day < end))

    def fit(self, rows: NDArray[np.intp], label: Floats, seed: int) -> lightgbm.Booster:
        return lightgbm.train(_SETTINGS | {"seed": seed}, lightgbm.Dataset(self.features[rows], label), _ROUNDS)

    def scored(self, model: lightgbm.Booster, rows: NDArray[np.intp]) -> Floats:
        return np.asarray(model.predict(self.features[rows], num_threads=1), dtype=np.float64)


@dataclass(frozen=True)
class Looked:
    """One look at one pair."""

    chain: str
    """The set and the weeks that it belongs to."""
    pair: str
    promoted: bool
    better: bool = False
    """The challenger is better on rows that neither look nor fit has seen; known for the refresh gate alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=12, help="chains of 12 weeks on bikes (default 12); flights get a quarter")
    parser.add_argument("--sets", default="bikeshare,flights", help="sets of the strict gate (default bikeshare,flights)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object on the last line")
    asked = parser.parse_args()
    printed("gate_null", measure(asked.sets.split(","), asked.starts), as_json=asked.json)


def measure(sets: Sequence[str], starts: int) -> dict[str, float]:
    """Every figure by its name; rates are shares of looks, `ever` of pairs."""
    strict = [look for name in sets for look in _equal(history(name), starts if name == "bikeshare" else max(3, starts // 4))]
    held_out = list(_renewed(history("stationary"), 2 * starts))
    promoted = [look for look in held_out if look.promoted]
    refresh = [
        Looked(stretch.name, "shadow bench", promoted)
        for stretch in played(load("stationary"), starts, LOOKS)
        for promoted in stretch.promoted
    ]
    return {
        **rates("false_promotion", strict),
        "pairs": len({(look.chain, look.pair) for look in strict}),
        "looks": len(strict),
        **{f"{name}_{kind}_false_promotion_rate": _rate(_of(strict, name, kind)) for name in sets for kind in KINDS},
        **rates("refresh_false_promotion", refresh),
        "refresh_pairs": len({look.chain for look in refresh}),
        "refresh_looks": len(refresh),
        **rates("holdout_refresh_false_promotion", held_out),
        "holdout_refresh_pairs": len({look.chain for look in held_out}),
        "holdout_refresh_promotions_that_were_better": _share([look.better for look in promoted]),
    }


def _of(looks: Sequence[Looked], name: str, kind: str) -> list[Looked]:
    return [look for look in looks if look.chain.startswith(name) and look.pair.startswith(kind)]


def rates(name: str, looks: Sequence[Looked]) -> dict[str, float]:
    """Per look and ever, each with its upper bound."""
    pairs: dict[tuple[str, str], bool] = {}
    for look in looks:
        pairs[look.chain, look.pair] = pairs.get((look.chain, look.pair), False) or look.promoted
    ever = [Looked(chain, pair, promoted) for (chain, pair), promoted in pairs.items()]
    return {
        f"{name}_rate": _rate(looks),
        f"{name}_upper": _upper(looks),
        f"{name}_ever": _rate(ever),
        f"{name}_ever_upper": _upper(ever),
    }


def _rate(looks: Sequence[Looked]) -> float:
    return _share([look.promoted for look in looks])


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def _upper(looks: Sequence[Looked]) -> float:
    """Clopper and Pearson's bound on as many independent looks as the chains are worth; without a promotion, on one a chain."""
    chains = sorted({look.chain for look in looks})
    count = np.array([sum(look.promoted for look in looks if look.chain == chain) for chain in chains], dtype=np.float64)
    size = np.array([sum(look.chain == chain for look in looks) for chain in chains], dtype=np.float64)
    rate = count.sum() / size.sum()
    of = float(len(chains)) if rate in {0, 1} else float(size.sum())
    if 0 < rate < 1 and len(chains) > 1:
        spread = float(((count - rate * size) ** 2).sum()) * len(chains) / (len(chains) - 1)
        of = min(of, of * of * rate * (1 - rate) / spread)
    trials = max(1, int(of))
    return clopper_upper(math.ceil(rate * trials - _ROUNDING), trials)


def clopper_upper(count: int, of: int, level: float = 0.025) -> float:
    """The rate at which so few would be seen with the probability `level` only."""
    low, high = count / of, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        fewer = 1 - tail(count=count + 1, of=of, rate=middle) if count < of else 1.0
        low, high = (middle, high) if fewer > level else (low, middle)
    return high


def _equal(history: History, starts: int) -> Iterator[Looked]:
    first, last = int(history.day[0]) + _MONTH, int(history.day[-1]) - _HELD_OUT - _WEEK * (LOOKS - 1)
    begins = np.linspace(first, last, starts).astype(int).tolist()
    with ThreadPoolExecutor(2) as threads:
        for found in threads.map(lambda start: list(_looks(history, start)), begins):
            yield from found


def _looks(history: History, start: int) -> Iterator[Looked]:
    """All pairs on the weeks of one chain."""
    kept = _models(history, start, "seeds", 0)
    for week in range(LOOKS):
        cut = start + _WEEK * week
        held_out = history.between(cut, cut + _HELD_OUT)
        for kind in KINDS:
            models = kept if kind == "kept" else _models(history, cut, kind, week)
            scores = [history.scored(model, held_out) for model in models]
            family = week + 1 if kind == "kept" else 1
            for one, other in combinations(range(MODELS), 2):
                judged = _judged(history, held_out, (scores[one], scores[other]), (cut, cut), weeks=4.0, family=family)
                yield Looked(f"{history.name} {start}", f"{kind} {one} {other}", judged.verdict is Verdict.PROMOTE)


def _models(history: History, cut: int, kind: str, week: int) -> list[lightgbm.Booster]:
    """Equal models of the month before the cut."""
    rows = history.between(cut - _MONTH, cut)
    return [_model(history, rows, kind, 1000 * i + week) for i in range(MODELS)]


def _model(history: History, rows: NDArray[np.intp], kind: str, seed: int) -> lightgbm.Booster:
    """One of the equal models; what differs is drawn by its seed."""
    rng = np.random.default_rng(seed)
    if kind == "rows":
        half = np.sort(rng.permutation(rows)[: len(rows) // 2])
        return history.fit(half, history.label[half], 1)
    if kind == "labels":
        wrong = rng.random(len(rows)) < _WRONG
        return history.fit(rows, np.where(wrong, 1 - history.label[rows], history.label[rows]), 1)
    return history.fit(rows, history.label[rows], seed)


def _renewed(history: History, starts: int) -> Iterator[Looked]:
    """A champion that stays, and a rival of the same recipe on newer rows, where newer means nothing."""
    last = int(history.day[-1]) - 1000
    unseen = history.between(last, int(history.day[-1]) + 1)
    reach = last - _HELD_OUT * 2 - _WEEK * LOOKS
    with ThreadPoolExecutor(2) as threads:
        begins = np.linspace(int(history.day[0]) + _QUARTER, reach, starts).astype(int).tolist()
        for found in threads.map(lambda start: list(_chain(history, start, unseen)), begins):
            yield from found


def _chain(history: History, start: int, unseen: NDArray[np.intp]) -> Iterator[Looked]:
    champion = _newest(history, start, seed=0)
    known = log_loss(history.label[unseen], history.scored(champion, unseen))
    for week in range(LOOKS):
        cut = start + _HELD_OUT + _WEEK * week
        held_out, rival = history.between(cut, cut + _HELD_OUT), _newest(history, cut, seed=week + 1)
        pair = (history.scored(champion, held_out), history.scored(rival, held_out))
        judged = _judged(history, held_out, pair, (start, cut), weeks=(cut + _HELD_OUT - start) / _WEEK, family=1)
        promoted = judged.verdict is Verdict.PROMOTE
        better = promoted and log_loss(history.label[unseen], history.scored(rival, unseen)) < known
        yield Looked(f"{history.name} {start}", "renewed", promoted, better)


def _newest(history: History, cut: int, seed: int) -> lightgbm.Booster:
    rows = history.between(cut - _QUARTER, cut)
    return history.fit(rows, history.label[rows], seed)


def _judged(
    history: History, rows: NDArray[np.intp], pair: tuple[Floats, Floats], trained: tuple[int, int], *, weeks: float, family: int
) -> Judgement:
    """The gate picks its kind by what each model has seen, as in production; `trained` are the days they end at."""
    champion, challenger = (_moment(day) for day in trained)
    judged = judge(
        holdout=PairedScores(day=history.day[rows], label=history.label[rows], champion=pair[0], challenger=pair[1]),
        replay=PairedScores.empty(),
        gate=GATE,
        threshold=0.5,
        champion_trained_through=champion,
        challenger_trained_through=challenger,
        weeks_since_promotion=weeks,
        evidence_digest="0" * 64,
        family=family,
    )
    if judged.kind is not gate_kind(champion=champion, challenger=challenger, gate=GATE):
        raise AssertionError(f"the gate judged {judged.kind} what production routes elsewhere")
    return judged


def _moment(day: int) -> datetime:
    return moment_of(0) + timedelta(days=day)


def history(name: str) -> History:
    """Rows with a label, in the order of their time."""
    table = load(name).table
    known = np.flatnonzero(~np.isnan(table.label))
    return History(name, table.event_time[known] // _DAY_US, table.features[known], table.label[known])


if __name__ == "__main__":
    main()
