"""Whom the names in a review policy stand for: people, `group:NAME` and `role:NAME`."""

from collections.abc import Collection, Iterable, Mapping

from contracts.people import GROUP, ROLE, Person
from contracts.review import ReviewPolicy


def members(listed: Iterable[str], review: ReviewPolicy) -> tuple[str, ...]:
    """The people behind a list, each once; a name that is none of ours stands for itself."""
    return tuple(dict.fromkeys(name for one in listed for name in _behind(one, review)))


def _behind(listed: str, review: ReviewPolicy) -> tuple[str, ...]:
    if listed.startswith(GROUP):
        return review.groups.get(listed.removeprefix(GROUP), ())
    if listed.startswith(ROLE):
        return with_role(listed.removeprefix(ROLE), review)
    return (listed,)


def with_role(role: str, review: ReviewPolicy) -> tuple[str, ...]:
    return tuple(name for name, person in review.people.items() if role in person.roles)


def roles_of(name: str, review: ReviewPolicy) -> tuple[str, ...]:
    person = review.people.get(name)
    return person.roles if person else ()


def deciders(review: ReviewPolicy) -> tuple[str, ...] | None:
    """Who may decide from the start, delegates apart; None lets anybody."""
    if review.reviewers:
        return members(review.reviewers, review)
    return tuple(review.people) or None


def by_login(logins: Collection[str], people: Mapping[str, Person]) -> str:
    """The person who has one of these names at an issuer; where no people are declared, the login itself. Else a text that can
    be no name of the fleet file: whoever may choose their own login must not be taken for somebody by it.
    """
    known = next((name for name, person in people.items() if set(logins) & set(person.subjects)), None)
    if known is not None:
        return known
    login = next(iter(logins), "")
    return f"{login[:150]} (nobody's login)" if people else login[:200]


def is_nobody(name: str) -> bool:
    """Whether `by_login` found nobody."""
    return not name or name.endswith(" (nobody's login)")
