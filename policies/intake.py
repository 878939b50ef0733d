"""Which alarms become incidents, and what an automatic promotion costs. Data time throughout."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.alarm import Alarm, AlarmKind, Cleared
from contracts.fleet import IntakePolicy
from contracts.incident import AlarmFate, AlarmRecord, Outcome

_NO_COOL_DOWN = (
    Outcome.FAILED,
    Outcome.CANCELLED,
    Outcome.SHORT_OF_DATA,
    Outcome.BROKEN_DATA,
    Outcome.RECALIBRATED,
    Outcome.VOIDED,
    Outcome.HEALED,
)
BY_BENCH = (AlarmKind.IMPROVEMENT, AlarmKind.CALIBRATION)
"""What the shadow bench raises; it looks again at every turn."""
MOST_PENDING = 500
"""So many alarms wait at most; what a further one says that none of them does is kept, it itself joins them."""
FULL_BYTES = 300_000
"""So much of waiting alarms is kept word for word; what comes beyond is kept without labels, metrics and long texts."""
AHEAD = timedelta(days=1)
"""How far a detector's clock may be ahead of ours."""


@dataclass(frozen=True)
class Intake:
    """What to do with the alarms at hand: those that open an incident together, and the fate of the others."""

    opening: tuple[Alarm, ...]
    absorbed: tuple[AlarmRecord, ...]


def judge(*, pending: Sequence[Alarm], cool_until: datetime | None) -> Intake:
    """Alarms whose data lies inside the cool-down are absorbed; all others open one incident together."""
    opening = tuple(a for a in pending if not _cooling(a, cool_until))
    absorbed = tuple(
        AlarmRecord(
            id=a.id, fate=AlarmFate.ABSORBED, reason=f"cool-down until {cool_until:%Y-%m-%d %H:%M} UTC of the data's time"
        )
        for a in pending
        if _cooling(a, cool_until)
    )
    return Intake(opening=opening, absorbed=absorbed)


def _cooling(alarm: Alarm, cool_until: datetime | None) -> bool:
    """A first champion was asked for by a person; a recalibration is cheap and holds itself back."""
    never = (AlarmKind.ONBOARDING, AlarmKind.CALIBRATION)
    return cool_until is not None and alarm.as_of < cool_until and alarm.kind not in never


def from_the_future(*, as_of: datetime, now: datetime) -> str | None:
    """Why an alarm is refused whose data nobody can have seen: it would silence the endpoint until that time comes."""
    if as_of <= now + AHEAD:
        return None
    return f"as_of is {as_of:%Y-%m-%d %H:%M} UTC, which lies in the future: send the time of the data that was seen"


def queue(*, pending: Sequence[Alarm], alarm: Alarm) -> tuple[tuple[Alarm, ...], Alarm | None]:
    """The waiting alarms with one more, bounded in number and bytes, and the alarm that the others now stand for, if any."""
    size = sum(len(a.model_dump_json()) for a in pending)
    kept = alarm if size + len(alarm.model_dump_json()) <= FULL_BYTES else _in_short(alarm)
    if len(pending) < MOST_PENDING:
        return (*pending, kept), None
    least = min(pending[1:], key=_weight)
    if _weight(kept) <= _weight(least):
        return tuple(pending), alarm
    return (*(a for a in pending if a is not least), kept), least


def representative(alarms: Sequence[Alarm], most: int) -> tuple[Alarm, ...]:
    """The first, which names the incident, then the newest, then the worst: what a remediation needs to be told."""
    first, rest = alarms[0], list(alarms[1:])
    newest = sorted(rest, key=lambda a: a.as_of, reverse=True)[:1]
    worst = sorted((a for a in rest if a not in newest), key=_weight, reverse=True)
    return (first, *newest, *worst)[:most]


def _weight(alarm: Alarm) -> tuple[int, datetime]:
    return alarm.severity.rank, alarm.as_of


def _in_short(alarm: Alarm) -> Alarm:
    return alarm.model_copy(update={"labels": {}, "metrics": (), "message": alarm.message[:200]})


def has_ended(*, alarm: Alarm, cleared: Cleared) -> bool:
    """Whether this is the end of that alarm: by its id, or because its detector said so later."""
    if alarm.id == cleared.id:
        return True
    known = bool(alarm.detector) and alarm.detector == cleared.detector
    return known and is_stale(changed_at=alarm.changed_at, ended_at=cleared.changed_at)


def is_stale(*, changed_at: datetime | None, ended_at: datetime | None) -> bool:
    """Whether what a detector said is older than its own word that it has ended."""
    return changed_at is not None and ended_at is not None and changed_at <= ended_at


def speaks_of_the_same(*, alarm: Alarm, incident_as_of: datetime) -> bool:
    """True where an open incident already covers what the alarm has seen."""
    return alarm.as_of <= incident_as_of


def cool_down_end(*, outcome: Outcome, as_of: datetime, policy: IntakePolicy, present: datetime | None) -> datetime | None:
    """Data time until which further alarms open no incident. Failures, cancels and recalibrations cool nothing."""
    if outcome in _NO_COOL_DOWN:
        return present
    end = as_of + policy.cool_down
    return end if present is None else max(end, present)


def tokens_at(*, as_of: datetime, policy: IntakePolicy, tokens: float | None, counted_at: datetime | None) -> float:
    """Automatic promotions at hand at `as_of`: what was left, plus what the weeks since have brought, capped."""
    if tokens is None or counted_at is None:
        return min(policy.promotions_start, policy.promotions_max)
    weeks = max(as_of - counted_at, timedelta(0)) / timedelta(weeks=1)
    return min(policy.promotions_max, tokens + weeks * policy.promotions_per_week)


def weeks_between(earlier: datetime | None, later: datetime) -> float | None:
    """Weeks from one moment to the next, never negative; None where there is no earlier one."""
    return None if earlier is None else max(later - earlier, timedelta(0)) / timedelta(weeks=1)
