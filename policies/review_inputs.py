"""Whether what a review rests on still holds, and whether an approval's conditions do."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from contracts.conditions import Condition, ConditionKind, read
from contracts.evaluation import Judgement
from contracts.live_inputs import LiveInputs


def changes(*, then: LiveInputs, now: LiveInputs, stale_after: timedelta | None) -> tuple[str, ...]:
    """Why the evidence no longer holds, a sentence each; empty where it does."""
    return tuple(_changes(then, now, stale_after))


def _changes(then: LiveInputs, now: LiveInputs, stale_after: timedelta | None) -> Iterator[str]:
    if now.champion != then.champion:
        yield f"The champion is now {_short(now.champion)}; the evidence holds against {_short(then.champion)}."
    if now.bench_turn is not None and (then.bench_turn is None or now.bench_turn > then.bench_turn):
        yield f"The shadow bench has newer evidence, of its turn of {now.bench_turn:%Y-%m-%d %H:%M} UTC."
    if stale_after is None or now.known_until is None or then.known_until is None:
        return
    if now.known_until - then.known_until > stale_after:
        newer = now.known_until - then.known_until
        yield f"{newer / timedelta(days=1):.1f} days of newer data have come since it was asked."


def unmet(
    *, conditions: Sequence[str], now: datetime, then: LiveInputs, inputs: LiveInputs, judgement: Judgement
) -> tuple[str, ...]:
    """Which of an approval's conditions don't hold at the moment of promotion, and why."""
    found = ((one, _fails(read(one), now, then, inputs, judgement)) for one in conditions)
    return tuple(f"{one}: {why}" for one, why in found if why)


def _fails(condition: Condition, now: datetime, then: LiveInputs, inputs: LiveInputs, judgement: Judgement) -> str:
    match condition.kind:
        case ConditionKind.CHAMPION_UNCHANGED:
            same = inputs.champion == then.champion
            return "" if same else f"the champion is now {_short(inputs.champion)}"
        case ConditionKind.NO_NEW_ALARM:
            waiting = inputs.waiting_alarms
            return f"{len(waiting)} newer alarms wait, the first is {waiting[0]}" if waiting else ""
        case ConditionKind.BEFORE:
            assert condition.time is not None  # the reader made it so
            return "" if now < condition.time else f"it is {now:%Y-%m-%d %H:%M} UTC by now"
        case ConditionKind.ERROR_RATE_BELOW:
            rate = inputs.errors / inputs.requests if inputs.requests else 0.0
            return "" if rate < condition.share else f"{inputs.errors} of {inputs.requests} requests failed"
        case ConditionKind.NO_SLICE_WORSE_THAN:
            return _worse_slice(judgement, condition.share)


def _worse_slice(judgement: Judgement, share: float) -> str:
    judged = [one for one in judgement.slices if one.evaluable]
    overall = judgement.metric(judgement.primary)
    if not judged or overall is None:
        return "no slice could be judged"
    worst = min(judged, key=lambda one: one.gain)
    if worst.gain >= -share * abs(overall.champion):
        return ""
    where = f"{worst.feature} = {worst.value}"
    return f"where {where} it is worse by {-worst.gain / abs(overall.champion):.1%} of the champion's {judgement.primary}"


def asks_for(conditions: Sequence[str], kind: ConditionKind) -> bool:
    return any(read(one).kind is kind for one in conditions)


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "none"
