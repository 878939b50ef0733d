"""The bench's judgement: which blend would serve best, whether it would serve better than the champion, and which shift.

Pure and stateless: the same record, champion and policy give the same advice, in the live loop and in a backtest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from contracts.bench import BenchPolicy
from contracts.evaluation import GatePolicy, Judgement
from contracts.training import Recipe, Task
from policies.bench_record import BenchRecord, complete, microseconds, row_loss, span
from policies.blend import linked
from policies.blend_choice import blend_losses, choose
from policies.gate import judge
from policies.intake import weeks_between
from policies.metrics import Floats
from policies.paired import PairedScores
from policies.recalibration import History, Recalibration, recalibration

_BROKEN = 2.0


@dataclass(frozen=True)
class Champion:
    """The model in service, as far as the bench has to know it."""

    members: tuple[str, ...]
    """The blend it was fitted as."""
    promoted_at: datetime
    trained_through: datetime
    shift: tuple[float, ...]
    recalibrating: bool = False
    """Whether the shift was on; it turns off at another gain than on."""
    first: bool = False
    """It was there from the beginning: no promotion yet."""


@dataclass(frozen=True)
class Advice:
    """What the bench says at the end of a period."""

    blend: str
    members: tuple[str, ...]
    """Of the blend."""
    losses: Mapping[str, float]
    """Prequential loss of each blend on the rows of the selection; empty while there is too little."""
    scores: PairedScores | None
    """Champion as served against the blend, on the same rows."""
    places: NDArray[np.intp]
    """Where these rows stand in the record, in their order; none where `scores` is None."""
    judgement: Judgement | None
    """None where there was nothing to judge; `reason` says why."""
    reason: str
    refit: Recalibration
    """The shift that a refit of the blend would ship with."""
    recalibration: Recalibration | None
    """What the champion's shift should be; None without a champion."""


@dataclass(frozen=True)
class Bench:
    """What is declared before looking."""

    recipe: Recipe
    policy: BenchPolicy
    gate: GatePolicy
    task: Task = Task.BINARY
    threshold: float = 0.5

    @property
    def blends(self) -> dict[str, tuple[str, ...]]:
        """By name, the first is the one to be left only for a better one."""
        return self.recipe.blends or {"all members": tuple(member.name for member in self.recipe.blended)}


def reach(policy: BenchPolicy) -> timedelta:
    """How far back a judgement looks; older rows of the record may be forgotten."""
    return 2 * max(policy.selection, policy.recalibration.window)


def advise(
    *,
    record: BenchRecord,
    now: datetime,
    champion: Champion | None,
    blend: str,
    bench: Bench,
    slices: Mapping[str, Floats] | None = None,
) -> Advice:
    """The advice as of `now`; only labels that had arrived by then are read. `blend` is the one chosen before.

    `slices` holds a value per row of the record, by feature.
    """
    looked_at = record.is_known(now, now - reach(bench.policy))
    known = record.chosen(looked_at)
    losses = blend_losses(known=known, since=now - bench.policy.selection, blends=bench.blends, task=bench.task)
    choice = choose(losses=losses, present=blend, now=now, recipe=bench.recipe, policy=bench.policy, gate=bench.gate)
    members = bench.blends[choice.blend]
    refit, ahead = _shifted(known, known.blended(members, bench.task), None, now, bench)
    scores, within, reason = _paired(known, ahead, champion, now=now, window=choice.evidence, bench=bench)
    if scores is not None and champion is not None and _broken(known, ahead, bench):
        scores, reason = None, "The world has just changed: in the newest period the blend itself said less than the base rate."
    places = np.flatnonzero(looked_at)[within]
    sliced = {name: values[places] for name, values in (slices or {}).items()}
    return Advice(
        blend=choice.blend,
        members=members,
        losses=losses.means if losses.enough(bench.gate) else {},
        scores=scores,
        places=places,
        judgement=None if scores is None else _judged(scores, champion, now, bench, sliced),
        reason=reason,
        refit=refit,
        recalibration=None if champion is None else _of_champion(known, champion, now, bench),
    )


def _shifted(
    known: BenchRecord, margin: Floats, champion: Champion | None, now: datetime, bench: Bench
) -> tuple[Recalibration, Floats]:
    """Its recalibration, and the margin as it would have been served under it; NaN where there is no margin."""
    there = complete(margin)
    rows = known.chosen(there)
    history = History(rows.event_time, rows.known_at, rows.label, margin[there], bench.task)
    trial = history.trial(now=microseconds(now), period=span(bench.policy.period), policy=bench.policy.recalibration)
    width = margin.shape[1] if margin.ndim > 1 else 1
    found = recalibration(
        history=history,
        trial=trial,
        now=now,
        was_on=champion is not None and champion.recalibrating,
        present=(0.0,) * width if champion is None else champion.shift,
        policy=bench.policy.recalibration,
    )
    served = margin.copy()
    served[there] += trial if found.on else 0.0
    return found, served


def _of_champion(known: BenchRecord, champion: Champion, now: datetime, bench: Bench) -> Recalibration:
    """By its own rows since it serves, and by its recipe's prequential ones before."""
    own = known.event_time >= microseconds(champion.promoted_at)
    before = known.blended(champion.members, bench.task)
    margin = np.where(own if before.ndim == 1 else own[:, None], known.champion, before)
    return _shifted(known, margin, champion, now, bench)[0]


def _paired(
    known: BenchRecord, ahead: Floats, champion: Champion | None, *, now: datetime, window: timedelta, bench: Bench
) -> tuple[PairedScores | None, NDArray[np.bool_], str]:
    """Champion as served and blend on the rows of the evidence, and which these are; further back only where that holds too
    few rows.
    """
    begin = now - window if champion is None else max(champion.promoted_at, now - window)
    floor = now - bench.policy.selection if champion is None else max(champion.promoted_at, now - bench.policy.selection)
    there = complete(ahead) & (complete(known.champion) if champion is not None else True)
    within = there & (known.event_time >= microseconds(begin))
    if _short(known.label[within], bench):
        within = there & (known.event_time >= microseconds(floor))
    if not within.any():
        return None, within, "No row has been scored by both since the champion was promoted."
    rows = known.chosen(within)
    challenger = linked(ahead[within], task=bench.task)
    before = _base(rows.label, challenger, bench.task)
    served = before if champion is None else linked(rows.champion + rows.shift, task=bench.task)
    return PairedScores(day=rows.day, label=rows.label, champion=served, challenger=challenger, task=bench.task), within, ""


def _broken(known: BenchRecord, ahead: Floats, bench: Bench) -> bool:
    """Whether in the newest period of labels the blend lost twice its usual, and more than a constant that knew the mean before.

    Then its refits learn from a mixture of two worlds: a promotion would be wasted, and hold up the next one.
    """
    there = complete(ahead)
    rows, margin = known.chosen(there), ahead[there]
    newest = rows.event_time >= rows.event_time.max(initial=0) - span(bench.policy.period)
    if newest.all() or not newest.any():
        return False
    lost = row_loss(rows.label, linked(margin, task=bench.task), bench.task)
    constant = _base(rows.label[~newest], margin[newest], bench.task)
    knows_nothing = row_loss(rows.label[newest], constant, bench.task)
    return bool(lost[newest].mean() > max(_BROKEN * lost[~newest].mean(), knows_nothing.mean()))


def _base(label: Floats, like: Floats, task: Task) -> Floats:
    """What is said without a model: the mean label, or the classes' shares."""
    if task is not Task.MULTICLASS:
        return np.full(like.shape, label.mean())
    count = np.bincount(label.astype(np.int64), minlength=like.shape[1])
    return np.asarray(np.broadcast_to(count / count.sum(), like.shape), dtype=np.float64)


def _short(label: Floats, bench: Bench) -> bool:
    """Whether the gate would find too few rows."""
    if len(label) < bench.gate.min_rows or bench.task is not Task.BINARY:
        return len(label) < bench.gate.min_rows
    positives = int((label == 1).sum())
    return min(positives, len(label) - positives) < bench.gate.min_class_rows


def _judged(
    scores: PairedScores, champion: Champion | None, now: datetime, bench: Bench, slices: Mapping[str, Floats]
) -> Judgement:
    return judge(
        holdout=scores,
        replay=PairedScores.empty(),
        gate=bench.gate,
        threshold=bench.threshold,
        champion_trained_through=None if champion is None else champion.trained_through,
        challenger_trained_through=now,
        weeks_since_promotion=None if champion is None or champion.first else weeks_between(champion.promoted_at, now),
        evidence_digest=digest(scores),
        slices=slices,
    )


def digest(scores: PairedScores) -> str:
    """SHA-256 over the paired scores, whatever their order."""
    rows = scores.labelled()
    return sha256(b"".join(part.tobytes() for part in (rows.day, rows.label, rows.champion, rows.challenger))).hexdigest()
