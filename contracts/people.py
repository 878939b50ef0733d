"""Who people are, how they are known, and how a review finds them."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.base import Declared, Duration, Text, Utc

Name = Annotated[str, StringConstraints(pattern=r"^[^\s:,]{1,100}$")]
"""What a person, a group, a role or a channel is called in the fleet file: no spaces, colons or commas."""

Hour = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
"""A time of day, '07:30'."""

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

WEEK: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GROUP, ROLE = "group:", "role:"
"""In front of a group's or a role's name, wherever people are listed."""


class Person(Declared):
    """Somebody who decides or is told. The key in `people` is the reviewer's name in decisions."""

    name: str = Field(default="", max_length=200)
    """As people call them, for pages and notices."""
    roles: tuple[Name, ...] = ()
    keys: tuple[str, ...] = Field(default=(), max_length=20)
    """Ed25519 public keys, base64url of the 32 bytes: `python starter.py keygen` makes one."""
    subjects: tuple[str, ...] = Field(default=(), max_length=20)
    """Who they are at the issuer: its `sub` or e-mail address."""
    channels: tuple[Name, ...] = ()
    """Channels that reach this person alone."""


class Issuer(Declared):
    """A company's login, whose signed tokens count."""

    issuer: str = Field(min_length=1, max_length=500)
    """As the token's `iss` says."""
    audience: str = Field(min_length=1, max_length=500)
    jwks: str = Field(min_length=1, max_length=500)
    """Where its public keys lie: an https address, or a file."""
    claim: str = Field(default="email", min_length=1, max_length=100)
    """The claim that names the person, as in `subjects`."""


class Quorum(Declared):
    """How many people have to approve. The same person counts once; one rejection rejects."""

    count: int = Field(default=1, ge=1, le=20)
    roles: dict[Name, int] = Field(default_factory=dict)
    """So many of them with this role; one person can fill several roles."""


class Step(Declared):
    """One rung of the escalation ladder."""

    after: Duration
    """Since the review was opened."""
    tell: tuple[str, ...] = Field(min_length=1)
    """People, `group:NAME`, `role:NAME`, or channels."""
    may_decide: bool = False
    """From then on the people told may decide, too."""


class Delegation(Declared):
    """Somebody decides in another's place for a while."""

    of: Name
    to: Name
    until: Utc
    note: Text = ""


class QuietHours(Declared):
    """When nobody is reminded. Reminders wait for their end; deadlines, escalations and pages don't."""

    start: Hour
    end: Hour
    """Earlier than the start: on the next day."""
    zone: str = Field(default="UTC", max_length=100)
    """As the time zone database calls it, 'Europe/Berlin'."""
    days: tuple[Day, ...] = WEEK
    """Days on which they begin."""
