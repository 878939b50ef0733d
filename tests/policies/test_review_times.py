"""Reminders wait for quiet hours to end; escalations and the deadline don't."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.people import QuietHours
from contracts.review import ReviewPolicy
from policies.review_times import loud, moments

OPENED = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday
NIGHT = {"start": "22:00", "end": "07:00", "zone": "Europe/Berlin"}


def hours(**policy: Any) -> list[tuple[float, bool, int]]:
    review = ReviewPolicy.model_validate(policy)
    return [((m.at - OPENED) / timedelta(hours=1), m.remind, len(m.steps)) for m in moments(review=review, opened=OPENED)]


def test_one_reminder_unless_more_is_said() -> None:
    assert hours() == [(8, True, 0)]
    assert hours(reminders=["20h", "2h", "8h"]) == [(2, True, 0), (8, True, 0), (20, True, 0)]


def test_what_would_come_at_or_after_the_deadline_is_left_out() -> None:
    assert hours(timeout="8h") == []
    assert hours(timeout="4h", escalate=[{"after": "3h", "tell": ["ada"]}, {"after": "4h", "tell": ["eve"]}]) == [(3, False, 1)]


def test_what_falls_together_takes_one_timer() -> None:
    ladder = [{"after": "8h", "tell": ["ada"]}, {"after": "8h", "tell": ["eve"]}, {"after": "12h", "tell": ["cto"]}]
    assert hours(escalate=ladder) == [(8, True, 2), (12, False, 1)]


def test_a_reminder_in_quiet_hours_waits_for_their_end_and_an_escalation_does_not() -> None:
    """21:00 UTC is 22:00 in Berlin; the night ends at 06:00 UTC, 21 hours after the opening."""
    ladder = [{"after": "13h", "tell": ["cto"]}]
    assert hours(remind_after="13h", quiet_hours=NIGHT, escalate=ladder) == [(13, False, 1), (21, True, 0)]
    assert hours(remind_after="13h", quiet_hours=NIGHT, timeout="20h") == [], "it would come after the deadline"


@pytest.mark.parametrize(
    ("quiet", "moment", "wanted"),
    [
        (NIGHT, "2026-03-02T20:59", "2026-03-02T20:59"),
        (NIGHT, "2026-03-02T21:00", "2026-03-03T06:00"),
        (NIGHT, "2026-03-03T05:59", "2026-03-03T06:00"),
        (NIGHT, "2026-03-03T06:00", "2026-03-03T06:00"),
        (NIGHT, "2026-03-29T00:30", "2026-03-29T05:00"),  # the night of the change to summer time
        ({**NIGHT, "days": ["sat"]}, "2026-03-02T22:00", "2026-03-02T22:00"),
        ({**NIGHT, "days": ["sat"]}, "2026-03-08T02:00", "2026-03-08T06:00"),
        ({"start": "12:00", "end": "13:00"}, "2026-03-02T12:30", "2026-03-02T13:00"),
        ({"start": "12:00", "end": "13:00", "zone": "Mars/Base"}, "2026-03-02T12:30", "2026-03-02T12:30"),
    ],
)
def test_quiet_hours_are_reckoned_in_their_own_zone(quiet: dict[str, Any], moment: str, wanted: str) -> None:
    found = loud(datetime.fromisoformat(moment).replace(tzinfo=UTC), QuietHours.model_validate(quiet))
    assert found == datetime.fromisoformat(wanted).replace(tzinfo=UTC)
