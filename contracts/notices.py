"""What people are told, and through which channels."""

from enum import StrEnum

from pydantic import Field

from contracts.base import Contract, Declared, Utc


class NoticeKind(StrEnum):
    REVIEW = "review"
    REMINDER = "reminder"
    ESCALATION = "escalation"
    """Nobody answered so far, and the next rung of the ladder is told."""
    VOIDED = "voided"
    """The evidence no longer holds: what was asked can't be decided any more."""
    HEALED = "healed"
    """The alarms have cleared: nothing is left to decide."""
    OUTCOME = "outcome"
    PAGE = "page"
    """Somebody has to get up: a rollback failed, or a promotion could not be undone."""
    TEST = "test"
    """Whether a channel works, asked by hand."""


class Channel(Declared):
    """One way to reach people: an Apprise URL, or `sns:` with a topic's ARN."""

    url: str = Field(min_length=1, max_length=1000)
    """Whatever is secret in it stands as ${NAME}: the worker puts its variable in at the moment of sending, never before."""
    kinds: tuple[NoticeKind, ...] = ()
    """Which notices go here; empty: all."""


class Told(Contract):
    """That people were asked, reminded or escalated to."""

    kind: NoticeKind
    at: Utc
    to: tuple[str, ...] = ()
