"""How far a notice came: which channels have it, which don't, and why."""

from typing import Any

from pydantic import Field, model_validator

from contracts.base import Contract, Utc
from contracts.notices import NoticeKind
from contracts.review import Notice


class Missed(Contract):
    """Why a channel hasn't taken a notice. Never holds what a variable stood for: only scheme and host are named."""

    reason: str
    final: bool = False
    """Trying again can't help: the address or the message is wrong."""


class Delivery(Contract):
    """What became of a notice, by channel."""

    told: tuple[str, ...] = ()
    missed: dict[str, Missed] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _plain_answer(cls, data: Any) -> Any:  # noqa: ANN401 - a pydantic before-validator sees raw input
        """Older histories say whether the outbox had the notice before, and knew no channels."""
        return {} if isinstance(data, bool) else data

    @property
    def waiting(self) -> tuple[str, ...]:
        """Channels that may still take it."""
        return tuple(name for name, missed in self.missed.items() if not missed.final)

    @property
    def sentence(self) -> str:
        return "; ".join(f"not told by {name}: {missed.reason}" for name, missed in self.missed.items())


class Untold(Contract):
    """For status and record: a notice that a channel hasn't taken."""

    kind: NoticeKind
    key: str
    channel: str
    reason: str
    trying_until: Utc | None = None
    """None: given up."""


class TellLate(Contract):
    """Go on telling what a channel that was down hasn't taken."""

    notice: Notice
    """With the channels that are still to be told, and no others."""
    until: Utc


def untold(notice: Notice, delivery: Delivery, until: Utc | None) -> tuple[Untold, ...]:
    """What is missed, for status and record; `until` when it is tried again."""
    return tuple(
        Untold(
            kind=notice.kind,
            key=notice.key,
            channel=name,
            reason=missed.reason,
            trying_until=None if missed.final else until,
        )
        for name, missed in delivery.missed.items()
    )
