"""The conditions of an approval: a small closed language, read the same wherever it is written.

champion_unchanged          the champion is the one that the evidence was held against
no_new_alarm                no alarm about newer data waits
before:2026-01-31T18:00Z    the promotion begins before then
error_rate_below:0.01       the endpoint has failed to answer a smaller share of requests since the review was opened
no_slice_worse_than:0.05    no slice that could be judged is worse by more than this share of the champion's figure
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class ConditionKind(StrEnum):
    CHAMPION_UNCHANGED = "champion_unchanged"
    NO_NEW_ALARM = "no_new_alarm"
    BEFORE = "before"
    ERROR_RATE_BELOW = "error_rate_below"
    NO_SLICE_WORSE_THAN = "no_slice_worse_than"


_PLAIN = (ConditionKind.CHAMPION_UNCHANGED, ConditionKind.NO_NEW_ALARM)
_SHOWN = 80


@dataclass(frozen=True)
class Condition:
    """One of them; which of the two values it has depends on its kind."""

    kind: ConditionKind
    text: str
    """As it was written."""
    share: float = 0.0
    time: datetime | None = None


def read(text: str) -> Condition:
    """Raises: ValueError, with what there is."""
    name, colon, value = text.strip().partition(":")
    try:
        kind = ConditionKind(name)
    except ValueError:
        known = ", ".join(one.value + ("" if one in _PLAIN else ":...") for one in ConditionKind)
        raise ValueError(f"{text[:_SHOWN]!r} is no condition; there is {known}") from None
    if kind in _PLAIN:
        if colon:
            raise ValueError(f"{name} takes no value")
        return Condition(kind, text)
    if kind is ConditionKind.BEFORE:
        return Condition(kind, text, time=_moment(value))
    return Condition(kind, text, share=_share(name, value))


def _moment(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"before: write a time with its zone, such as 2026-01-31T18:00Z; found {value[:_SHOWN]!r}")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("before: the time lies beyond the years 1 to 9999 in UTC") from None


def _share(name: str, value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ValueError(f"{name}: write a share above 0 and up to 1, such as 0.01; found {value[:_SHOWN]!r}")
    return share
