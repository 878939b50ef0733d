"""How times, numbers and states are written on the pages."""

from datetime import UTC, datetime, timedelta
from typing import Final

from markupsafe import Markup

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STATES: Final = {
    "person": "a person",
    "labels": "labels",
    "clock": "the clock",
    "training": "training",
    "nothing": "",
    "incident": "its incident",
}


def when(moment: datetime | None) -> Markup:
    """The moment, to the minute, with how long ago it was."""
    if moment is None:
        return Markup("-")
    moment = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), f"{moment:%Y-%m-%d %H:%M} UTC")


def ago(moment: datetime | None) -> Markup:
    """'3 hours ago', 'in 5 hours', with the moment itself for whoever wants it exactly."""
    if moment is None:
        return Markup("-")
    seconds = _passed(moment)
    return _exact(moment, f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}")


def age(moment: datetime | None) -> Markup:
    """'3 days'."""
    return Markup("-") if moment is None else _exact(moment, span(max(0.0, _passed(moment))))


def _passed(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()


def _exact(moment: datetime, said: str) -> Markup:
    moment = moment.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(), f"{moment:%Y-%m-%d %H:%M} UTC", said)


def span(seconds: float) -> str:
    """One number and its unit."""
    for size, unit in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= 2 * size or (unit == "hour" and seconds >= size):
            return _many(int(seconds // size), unit)
    return _many(int(seconds // _MINUTE), "minute") if seconds >= _MINUTE else "moments"


def duration(value: timedelta) -> str:
    return span(value.total_seconds())


def _many(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'}"


def plain(state: str) -> str:
    """'short_of_data' as people write it."""
    return _STATES.get(state, state.replace("_", " "))


def signed(value: float) -> str:
    return f"{value:+.4g}".replace("-", "\u2212")
