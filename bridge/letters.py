"""One message of a queue: read, taken, and what has to become of the message."""

from dataclasses import dataclass
from typing import Final

from bridge.answers import Result
from bridge.formats import JSON, items_from
from bridge.items import HEAD, BodyError, Item, Monitored, Understood
from bridge.rejected import Rejection
from bridge.taking import Taking, rejections
from platforms.errors import PlatformError, Unavailable
from platforms.letters import Letter

_LONGEST_PAUSE: Final = 900


@dataclass(frozen=True)
class Done:
    """Taken, or nothing to take: it may be deleted."""


@dataclass(frozen=True)
class Later:
    """Not now: to be handed out again after so many seconds."""

    seconds: int
    reason: str


@dataclass(frozen=True)
class Poison:
    """Never: a person has to look at it."""

    reason: str
    kept: tuple[Rejection, ...]


Verdict = Done | Later | Poison


async def judge(letter: Letter, taking: Taking, *, source: str, most_receives: int) -> Verdict:
    """Reading and taking it twice is the same as once, since alarms are known by their ids.

    Raises:
        TemporalDown: nothing is decided; the message stays.
    """
    try:
        items = items_from({"content-type": JSON}, letter.body.encode(errors="surrogatepass"), taking.routes())
        told = await taking.take(items, source=source, traceparent=letter.attributes.get("traceparent"))
    except BodyError as error:
        return _poison(letter, source, error.reason)
    except Unavailable as error:
        return _later(letter, source, str(error), most_receives)
    except PlatformError as error:
        return _poison(letter, source, str(error))
    refused = next((one for one in told if one.result is Result.REFUSED), None)
    if refused is not None:
        return Poison(refused.reason, tuple(rejections(items, told, sender=source, content_type=JSON)))
    unknown = [one for one in told if one.result is Result.UNKNOWN_ENDPOINT]
    if not unknown or (letter.receives >= most_receives and all(_none_of_ours(items[one.index]) for one in unknown)):
        return Done()
    return _later(letter, source, unknown[0].reason, most_receives)


def _none_of_ours(item: Item) -> bool:
    """What AWS tells of everything in the account: an endpoint that is still unknown by now is somebody else's."""
    return isinstance(item, Monitored) or (isinstance(item, Understood) and item.account_wide)


def _later(letter: Letter, source: str, reason: str, most_receives: int) -> Later | Poison:
    """It may be that the endpoint is applied in a moment; each time it waits longer."""
    if letter.receives >= most_receives:
        return _poison(letter, source, f"{reason} (tried {letter.receives} times)")
    return Later(min(15 * 2 ** (letter.receives - 1), _LONGEST_PAUSE), reason)


def _poison(letter: Letter, source: str, reason: str) -> Poison:
    return Poison(reason, (Rejection(reason, letter.body[:HEAD], source, JSON),))
