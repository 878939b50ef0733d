"""What a backtest found, as one object: keys are stable, new ones may come. docs/backtest.md says what each means."""

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from backtest.arms import ARMS, HABITS, HOMEOSTAT
from backtest.data.told import data_findings, told_in_words
from backtest.hindsight import Judged, counts, proved
from backtest.scoring import ALSO_CALLED, SHOWN, arm_metrics, lower_is_better
from backtest.trial import Played
from learning.rows import Floats
from policies import bootstrap
from policies.families import FAMILIES
from policies.paired import Days
from policies.verdict_words import NAMES, number

_DRAWS: Final = 1000
_MOST_SLICES: Final = 50
_LEAST_DAYS: Final = 2


def summarise(played: Played) -> dict[str, Any]:
    """Plain numbers, texts, lists and mappings; what can't be said is null."""
    arms = {arm: _arm(played, arm) for arm in ARMS}
    differences = {habit: _differences(played, habit) for habit in HABITS}
    best = _best_habit(played, arms)
    found: dict[str, Any] = _finite(
        {
            "format": 1,
            "task": played.card.task.value,
            "primary": SHOWN[played.card.task][0],
            "sentences": list(_sentences(played, arms, differences, best)),
            "periods": _periods(played),
            "arms": arms,
            "best_habit": best,
            "differences": differences,
            "decisions": _decisions(played),
            "slices": list(_slices(played, best)),
            "compute": _compute(played),
            "data": data_findings(played.history, played.watched),
            "card": played.card.model_dump(mode="json"),
            "policy": played.tried.model_dump(mode="json", include={"training", "gate", "intake", "serving"}),
        }
    )
    return found


def _finite(value: Any) -> Any:  # noqa: ANN401 - any part of the object
    """JSON has no infinity and no NaN."""
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def _periods(played: Played) -> dict[str, Any]:
    history = played.history
    return {
        "count": len(played.lines),
        "period_days": history.period.total_seconds() / 86400,
        "first_window_days": history.first_window.total_seconds() / 86400,
        "from": history.begin.isoformat(),
        "played_from": (history.begin + history.first_window).isoformat(),
        "to": history.end.isoformat(),
        "rows": sum(line.rows for line in played.lines),
        "labelled": sum(line.labelled for line in played.lines),
    }


def _arm(played: Played, arm: str) -> dict[str, Any]:
    label, score = played.scores.column("label"), played.scores.scores(arm)
    task, last = played.card.task, played.lines[-1] if played.lines else None
    found: dict[str, Any] = dict.fromkeys(SHOWN[task])
    if len(label):
        found |= arm_metrics(label, score, task, played.policy.threshold)
    found |= {other: found[name] for name, other in ALSO_CALLED.items() if name in found}
    found["promotions"] = last.promotions[arm] if last else 0
    found["recalibrations"] = last.recalibrations if last and arm == HOMEOSTAT else 0
    return found


def _differences(played: Played, habit: str) -> dict[str, Any]:
    """Homeostat minus the habit, metric by metric, with the 95 % interval over blocks of days."""
    paired = played.scores.paired(habit, HOMEOSTAT)
    if paired.days < _LEAST_DAYS:
        return {}
    gains = bootstrap.gains(
        rows=paired.labelled(), threshold=played.policy.threshold, alpha=0.05, resamples=_DRAWS, seed=played.policy.gate.seed
    )
    task = played.card.task
    found = {name: _difference(gains[name], lower=lower_is_better(task, name)) for name in SHOWN[task]}
    return found | {other: found[name] for name, other in ALSO_CALLED.items() if name in found}


def _difference(gain: bootstrap.Gain, *, lower: bool) -> dict[str, Any]:
    low, high = (-gain.high, -gain.low) if lower else (gain.low, gain.high)
    standing = "better" if gain.low > 0 else "worse" if gain.high < 0 else "unclear"
    return {"difference": gain.challenger - gain.champion, "low": low, "high": high, "standing": standing}


def _best_habit(played: Played, arms: dict[str, dict[str, Any]]) -> str | None:
    """Picked with hindsight, by the primary metric."""
    primary = SHOWN[played.card.task][0]
    known = {habit: arms[habit][primary] for habit in HABITS if arms[habit][primary] is not None}
    return min(known, key=lambda habit: known[habit]) if known else None


def _decisions(played: Played) -> dict[str, Any]:
    decisions = played.decisions
    budget = [one for one in decisions if one.decision.held]
    return {
        "promotions": counts(decisions, promoted=True),
        "holds": counts(decisions, promoted=False),
        "held_by_budget": len(budget),
        "recalibrations": played.lines[-1].recalibrations if played.lines else 0,
        "list": [decision_line(one) for one in decisions],
    }


def decision_line(one: Judged) -> dict[str, Any]:
    decision = one.decision
    judgement, after = decision.advice.judgement, one.verdict
    return {
        "at": decision.at.isoformat(),
        "action": "promotion" if decision.promoted else "hold",
        "recalibrated": decision.recalibrated,
        "verdict": judgement.verdict.value if judgement else None,
        "why": decision.held or (judgement.sentence if judgement else decision.advice.reason),
        "blend": decision.advice.blend,
        "members": list(decision.advice.members),
        "tokens": decision.tokens,
        "skipped": decision.skipped,
        "hindsight": None if after is None else after.proved.value,
        "hindsight_gain": None if after is None else after.gain,
        "hindsight_low": None if after is None else after.low,
        "hindsight_high": None if after is None else after.high,
    }


def _compute(played: Played) -> dict[str, Any]:
    lines = played.lines
    return {
        "fits": sum(line.fits for line in lines),
        "reading_seconds": played.reading_seconds,
        "playing_seconds": played.playing_seconds,
        "seconds_per_period": played.playing_seconds / len(lines) if lines else None,
        "rows_read": played.material.findings.counts["rows_read"],
    }


def _slices(played: Played, best: str | None) -> Iterator[dict[str, Any]]:
    """Primary loss in each value of the slicing columns, homeostat against the best habit; the largest values."""
    if best is None:
        return
    task = played.card.task
    loss = next(iter(FAMILIES[task].row_loss.values()))
    label, day = played.scores.column("label"), played.scores.column("day").astype(np.int64)
    gap = loss(label, played.scores.scores(HOMEOSTAT)) - loss(label, played.scores.scores(best))
    for name, values in played.scores.slices():
        names = played.material.reader.slices[name]
        found, count = np.unique(values, return_counts=True)
        for value in found[np.argsort(-count, kind="stable")][:_MOST_SLICES]:
            yield {"feature": name, "value": names.name(float(value)), **_gap(day, gap, values == value)}


def _gap(day: Days, gap: Floats, rows: "np.ndarray[Any, np.dtype[np.bool_]]") -> dict[str, Any]:
    found = proved(day[rows], -gap[rows])
    standing = {"right": "better", "wrong": "worse"}.get(found.proved.value, "unclear")
    return {"rows": found.rows, "difference": -found.gain, "low": -found.high, "high": -found.low, "standing": standing}


def _sentences(played: Played, arms: dict[str, dict[str, Any]], differences: dict[str, Any], best: str | None) -> Iterator[str]:
    """The answer in words, first what matters most."""
    primary = SHOWN[played.card.task][0]
    if best is None or not differences.get(best):
        yield "No label came after the first window, so nothing can be said."
        return
    gap = differences[best][primary]
    standing = {"better": "better than", "worse": "worse than", "unclear": "about as good as"}[gap["standing"]]
    yield (
        f"The policy served {standing} the best simple habit ({words(best)}, picked with hindsight): {NAMES[primary]} "
        f"{number(arms[HOMEOSTAT][primary])} against {number(arms[best][primary])}, "
        f"difference {gap['difference']:+.4g} [{gap['low']:+.4g}, {gap['high']:+.4g}]; lower is better."
    )
    habit = arms[best]["promotions"]
    promoted, recalibrated = (arms[HOMEOSTAT][change] for change in ("promotions", "recalibrations"))
    yield (
        f"It changed the model {_times(promoted)} in {_many(len(played.lines), 'period')} and recalibrated it "
        f"{_times(recalibrated)}; that habit changed it {_times(habit)}."
    )
    yield from _proved(played)
    yield from told_in_words(played.history, played.watched)[:3]


def _proved(played: Played) -> Iterator[str]:
    promotions, holds = (counts(played.decisions, promoted=which) for which in (True, False))
    if promotions["total"]:
        yield (
            f"Of {_many(promotions['total'], 'promotion')} the periods that followed showed {promotions['right']} to be right "
            f"and {promotions['wrong']} wrong; {promotions['unclear'] + promotions['unjudged']} stay unclear."
        )
    if holds["total"]:
        yield (
            f"Of {_many(holds['total'], 'time')} that it kept the model, {holds['right']} proved right and {holds['wrong']} "
            f"wrong in the period that followed; {holds['unclear'] + holds['unjudged']} made no clear difference."
        )


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def words(arm: str) -> str:
    """An arm as people call it."""
    return {
        "never": "never retrained",
        "weekly30": "refitted each period on 30 days",
        "weekly90": "refitted each period on 90 days",
        "weekly_all": "refitted each period on everything",
        HOMEOSTAT: "the policy",
    }[arm]


def lines_of(played: Played) -> list[dict[str, Any]]:
    """One flat mapping a period, for the tables."""
    metrics = SHOWN[played.card.task]
    return [
        {
            "start": line.start,
            "end": line.end,
            "rows": line.rows,
            "labelled": line.labelled,
            **{f"{arm}.{name}": line.metrics.get(arm, {}).get(name) for arm in ARMS for name in metrics},
            **{f"{arm}.promotions": line.promotions[arm] for arm in ARMS},
            f"{HOMEOSTAT}.recalibrations": line.recalibrations,
            "fits": line.fits,
            "seconds": line.seconds,
        }
        for line in played.lines
    ]
