"""Which alarms become incidents, and what an automatic promotion costs. Data time throughout."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.alarm import Alarm, AlarmKind
from contracts.fleet import IntakePolicy
from contracts.incident import AlarmFate, AlarmRecord, Outcome

_NO_COOL_DOWN = (Outcome.FAILED, Outcome.CANCELLED)


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
    return cool_until is not None and alarm.as_of < cool_until and alarm.kind is not AlarmKind.ONBOARDING


def speaks_of_the_same(*, alarm: Alarm, incident_as_of: datetime) -> bool:
    """True where an open incident already covers what the alarm has seen."""
    return alarm.as_of <= incident_as_of


def cool_down_end(*, outcome: Outcome, as_of: datetime, policy: IntakePolicy, present: datetime | None) -> datetime | None:
    """Data time until which further alarms open no incident. A failed or cancelled incident cools nothing."""
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
