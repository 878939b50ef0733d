"""What can't be in a review policy: names of nobody, a quorum that nobody could meet, moments that never come."""

import base64
import binascii
from collections import Counter
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

from contracts.people import GROUP, ROLE
from contracts.review import ReviewPolicy, Unverified
from policies import channel_address
from policies.reviewers import deciders, members, with_role

Place = tuple[str | int, ...]
Mistake = tuple[Place, str]
"""Where in the policy, and what is wrong with the remedy."""

KEY_BYTES = 32


def mistakes(review: ReviewPolicy) -> Iterator[Mistake]:
    """A quorum is counted only where everybody named is known."""
    names = [*_names(review)]
    yield from names
    if not names:
        yield from _quorum(review)
    yield from _times(review)
    yield from _bare_names(review)


def _names(review: ReviewPolicy) -> Iterator[Mistake]:
    yield from _directory(review)
    yield from _keys_and_subjects(review)
    for at, listed in enumerate(review.reviewers):
        yield from _unknown(listed, review, ("reviewers", at))
    yield from _delegations(review)
    yield from _ladder(review)
    for at, channel in enumerate(review.channels):
        yield from _channel(channel, review, ("channels", at))


def _directory(review: ReviewPolicy) -> Iterator[Mistake]:
    for group, names in review.groups.items():
        for at, name in enumerate(names):
            if name not in review.people:
                yield ("groups", group, at), f"{name!r} is not among `people`; {_known(review.people)}"
    for name, person in review.people.items():
        for at, channel in enumerate(person.channels):
            yield from _channel(channel, review, ("people", name, "channels", at))
    for name, way in review.reach.items():
        yield from ((("reach", name, "url"), text) for text in channel_address.mistakes(way.url))
    for name, issuer in review.issuers.items():
        if "://" in issuer.jwks and not issuer.jwks.startswith("https://"):
            yield ("issuers", name, "jwks"), "an issuer's keys come by https, or from a file: write https://... or a path"


def _keys_and_subjects(review: ReviewPolicy) -> Iterator[Mistake]:
    keys = Counter(key for person in review.people.values() for key in set(person.keys))
    subjects = Counter(subject for person in review.people.values() for subject in set(person.subjects))
    for name, person in review.people.items():
        for at, key in enumerate(person.keys):
            if not _is_key(key):
                yield (
                    ("people", name, "keys", at),
                    "is no Ed25519 public key (base64url of 32 bytes); `python starter.py keygen` prints one",
                )
            elif keys[key] > 1:
                yield ("people", name, "keys", at), "belongs to two people: each needs a key of their own"
        for at, subject in enumerate(person.subjects):
            if subjects[subject] > 1:
                yield ("people", name, "subjects", at), f"{subject!r} belongs to two people: then nobody knows who logged in"


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _unknown(listed: str, review: ReviewPolicy, place: Place) -> Iterator[Mistake]:
    """Without `people`, bare names are taken as they are."""
    if listed.startswith(GROUP):
        if (group := listed.removeprefix(GROUP)) not in review.groups:
            yield place, f"there is no group {group!r}; {_known(review.groups)}"
    elif listed.startswith(ROLE):
        if not with_role(role := listed.removeprefix(ROLE), review):
            yield place, f"nobody in `people` has the role {role!r}"
    elif review.people and listed not in review.people:
        yield place, f"{listed!r} is not among `people`; {_known(review.people)}"


def _delegations(review: ReviewPolicy) -> Iterator[Mistake]:
    for at, delegation in enumerate(review.delegations):
        yield from _unknown(delegation.of, review, ("delegations", at, "of"))
        yield from _unknown(delegation.to, review, ("delegations", at, "to"))
        if delegation.of == delegation.to:
            yield ("delegations", at, "to"), f"{delegation.to!r} can't stand in for themselves"


def _ladder(review: ReviewPolicy) -> Iterator[Mistake]:
    for at, step in enumerate(review.escalate):
        if step.after >= review.timeout:
            yield ("escalate", at, "after"), "never comes: the review ends first; raise `timeout` or escalate earlier"
        for place, listed in enumerate(step.tell):
            if listed not in review.reach:
                yield from _unknown(listed, review, ("escalate", at, "tell", place))


def _quorum(review: ReviewPolicy) -> Iterator[Mistake]:
    may = deciders(review)
    escalated = members((name for step in review.escalate if step.may_decide for name in step.tell), review)
    everybody = None if may is None else {*may, *escalated}
    if everybody is not None and review.quorum.count > len(everybody):
        yield ("quorum", "count"), f"can't be met: only {len(everybody)} may decide; lower it, or list more reviewers"
    for role, wanted in review.quorum.roles.items():
        there = [name for name in with_role(role, review) if everybody is None or name in everybody]
        if wanted > len(there):
            yield ("quorum", "roles", role), f"can't be met: {len(there)} of those who may decide have this role"


def _bare_names(review: ReviewPolicy) -> Iterator[Mistake]:
    """Whoever may write any name is as many people as they like."""
    several = review.quorum.count > 1 or review.quorum.roles or review.four_eyes
    if review.unverified is Unverified.ACCEPT and several:
        yield (
            ("unverified",),
            "accepts bare names, and one person can write several: a quorum and four eyes want `unverified: refuse`",
        )


def _times(review: ReviewPolicy) -> Iterator[Mistake]:
    for at, moment in enumerate(review.reminders):
        if moment >= review.timeout:
            yield ("reminders", at), "never comes: the review ends first; raise `timeout` or remind earlier"
    quiet = review.quiet_hours
    if quiet is None:
        return
    if not is_zone(quiet.zone):
        yield ("quiet_hours", "zone"), f"{quiet.zone!r} is no time zone; write for example UTC or Europe/Berlin"
    if quiet.start == quiet.end:
        yield ("quiet_hours", "end"), "is the start: then they would never end, or never begin"


def is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


def _channel(name: str, review: ReviewPolicy, place: Place) -> Iterator[Mistake]:
    if name not in review.reach:
        yield place, f"there is no channel {name!r}; {_known(review.reach)}"


def _known(names: Iterable[str]) -> str:
    listed = ", ".join(list(names)[:20])
    return f"known: {listed}" if listed else "none is declared; add it at the top of the file"
