"""When a schedule of AWS's fires next: `at(...)`, `rate(...)` and `cron(...)`.

Source: Application Auto Scaling user guide, "Schedule recurring scaling actions using cron expressions": six fields, one of day of
month and day of week is `?`.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_UNITS: Final = {"minute": 60, "hour": 3600, "day": 86400}
_FAR: Final = 400 * 24 * 60


def next_firing(schedule: str, now: datetime, zone: str) -> datetime | None:
    """After `now`; None where it never fires again. Raises: ValueError."""
    found = re.fullmatch(r"(at|rate|cron)\((.+)\)", schedule)
    if found is None:
        raise ValueError(f"the schedule {schedule!r} is none: at(...), rate(...) or cron(...)")
    kind, text = found.groups()
    if kind == "at":
        due = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        return due if due > now else None
    if kind == "rate":
        number, unit = text.split()
        return now + timedelta(seconds=int(number) * _UNITS[unit.rstrip("s")])
    return _next_cron(text.split(), now, zone)


def _next_cron(fields: list[str], now: datetime, zone: str) -> datetime | None:
    if len(fields) != 6 or "?" not in (fields[2], fields[4]):
        raise ValueError("a cron expression has six fields, and ? for one of day of month and day of week")
    moment = now.astimezone(ZoneInfo(zone)).replace(second=0, microsecond=0)
    minute, hour, day, month, weekday, _ = fields
    for _ in range(_FAR):
        moment = (moment.astimezone(UTC) + timedelta(minutes=1)).astimezone(ZoneInfo(zone))
        if not _in(minute, moment.minute) or not _in(hour, moment.hour):
            continue
        name = _DAYS[(moment.weekday() + 1) % 7]
        if _in(day, moment.day) and _in(month, moment.month) and _in(weekday, _DAYS.index(name) + 1):
            return moment.astimezone(UTC)
    return None


def _in(field: str, value: int) -> bool:
    if field in {"*", "?"}:
        return True
    for part in field.split(","):
        first, _, last = part.partition("-")
        if _number(first) <= value <= _number(last or first):
            return True
    return False


def _number(text: str) -> int:
    return _DAYS.index(text.upper()) + 1 if text.upper() in _DAYS else int(text)
