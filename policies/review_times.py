"""When an open review speaks up: reminders, which wait for quiet hours to end, and escalations, which don't."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from contracts.people import WEEK, QuietHours, Step
from contracts.review import ReviewPolicy
from policies.review_mistakes import is_zone


@dataclass(frozen=True)
class Moment:
    """People are reminded, the next rung of the ladder is told, or both."""

    at: datetime
    remind: bool = False
    steps: tuple[Step, ...] = ()


def moments(*, review: ReviewPolicy, opened: datetime) -> tuple[Moment, ...]:
    """In order, all before the deadline; what falls together is one moment, so that it takes one timer."""
    deadline = opened + review.timeout
    reminders = {loud(opened + after, review.quiet_hours) for after in {review.remind_after, *review.reminders}}
    found = {at: Moment(at, remind=True) for at in reminders if at < deadline}
    for step in review.escalate:
        at = opened + step.after
        if at < deadline:
            before = found.get(at, Moment(at))
            found[at] = Moment(at, remind=before.remind, steps=(*before.steps, step))
    return tuple(found[at] for at in sorted(found))


def loud(moment: datetime, quiet: QuietHours | None) -> datetime:
    """The moment itself, or the end of the quiet hours that it falls into. A zone that this machine doesn't know has none."""
    if quiet is None or not is_zone(quiet.zone):
        return moment
    local = moment.astimezone(ZoneInfo(quiet.zone))
    for begins in (local.date() - timedelta(days=1), local.date()):
        if WEEK[begins.weekday()] not in quiet.days:
            continue
        overnight = _clock(quiet.end) <= _clock(quiet.start)
        start = datetime.combine(begins, _clock(quiet.start), local.tzinfo)
        end = datetime.combine(begins + timedelta(days=overnight), _clock(quiet.end), local.tzinfo)
        if start <= local < end:
            return end.astimezone(moment.tzinfo)
    return moment


def _clock(text: str) -> time:
    return time.fromisoformat(text)
