"""What a body holds, one item per alarm: understood, ignored with the reason, or refused with the reason."""

from dataclasses import dataclass
from typing import Final

from contracts.alarm import Alarm, Cleared

HEAD: Final = 2000


@dataclass(frozen=True)
class Understood:
    """An alarm to forward."""

    alarm: Alarm
    account_wide: bool = False
    """It came because AWS tells of everything in the account: it may be about an endpoint that is none of ours."""


@dataclass(frozen=True)
class Ended:
    """What an alarm told of has ended: forwarded, too."""

    cleared: Cleared


@dataclass(frozen=True)
class Ignored:
    """Acknowledged, but nothing to forward: a state that is neither an alarm nor the end of one."""

    id: str
    endpoint: str
    reason: str


@dataclass(frozen=True)
class Monitored:
    """A job that may have monitored an endpoint has ended: what it found lies elsewhere."""

    id: str
    job: str


@dataclass(frozen=True)
class Refused:
    """Not an alarm that we can take; `reason` names the field, what was read and what to send."""

    reason: str
    head: str = ""
    """The first characters of the item, for the rejected log."""


Item = Understood | Ended | Ignored | Monitored | Refused


class BodyError(Exception):
    """The body as a whole can't be taken; `status` is the HTTP answer, `received` what there is of the body."""

    def __init__(self, status: int, reason: str, received: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.received = received
