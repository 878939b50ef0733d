"""Whom a notice reaches by which channel, and for how long a channel that is down is tried again."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from contracts.alarm import Severity
from contracts.notices import NoticeKind
from contracts.review import Notice, ReviewPolicy
from policies.reviewers import deciders, members

PAGES = timedelta(hours=24)
CRITICAL_PAGES = timedelta(hours=72)
OTHERS = timedelta(hours=6)
AT_LEAST = timedelta(minutes=1)

ASKING = frozenset({NoticeKind.REVIEW, NoticeKind.REMINDER, NoticeKind.ESCALATION})
"""They ask for a decision: any later notice about the same incident says more."""


def addressed(notice: Notice, review: ReviewPolicy) -> Notice:
    """The notice with its channels: the endpoint's own, and those of the people it is for. Each address once."""
    found: dict[str, str] = {}
    for name in _names(notice, review):
        channel = review.reach.get(name)
        if channel is not None and (not channel.kinds or notice.kind in channel.kinds):
            found.setdefault(channel.url, name)
    channels = {name: review.reach[name] for name in found.values()}
    return notice.model_copy(update={"channels": channels, "personal": _personal(channels, review)})


def _names(notice: Notice, review: ReviewPolicy) -> Iterator[str]:
    """An escalation goes to whoever its rung names; where that leads to no channel, to the endpoint's own."""
    people = _channels_of(members(notice.recipients, review) or deciders(review) or (), review)
    told = [*(name for name in notice.recipients if name in review.reach), *people]
    if notice.kind is not NoticeKind.ESCALATION or not told:
        yield from review.channels
    yield from told


def _channels_of(people: Iterable[str], review: ReviewPolicy) -> list[str]:
    return [channel for name in people if name in review.people for channel in review.people[name].channels]


def _personal(channels: Iterable[str], review: ReviewPolicy) -> dict[str, str]:
    """Only what reaches one person and nobody else: whoever holds a signed link acts in that person's name."""
    found = {}
    for channel in channels:
        owners = [name for name, person in review.people.items() if channel in person.channels]
        if len(owners) == 1 and not _shared(channel, review):
            found[channel] = owners[0]
    return found


def _shared(channel: str, review: ReviewPolicy) -> bool:
    """Told for all, by a rung of the ladder, or the same address under another name."""
    told = [*review.channels, *(name for step in review.escalate for name in step.tell)]
    same = [name for name, other in review.reach.items() if other.url == review.reach[channel].url]
    return channel in told or len(same) > 1


def keep_trying_until(notice: Notice, now: datetime) -> datetime:
    """What asks is worth telling until its deadline; a page for longest."""
    if notice.kind in ASKING and notice.deadline is not None:
        return max(notice.deadline, now + AT_LEAST)
    if notice.kind is NoticeKind.PAGE:
        return now + (CRITICAL_PAGES if notice.severity is Severity.CRITICAL else PAGES)
    return now + OTHERS


def superseded(late: Notice, by: Notice) -> bool:
    """Whether a channel that will hear the newer notice has no use for the late one any more."""
    return late.kind in ASKING and by.incident == late.incident and set(late.channels) <= set(by.channels)
