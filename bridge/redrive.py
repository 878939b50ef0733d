"""`python -m bridge redrive`: what lies in the dead-letter queue goes back to be taken again, once its cause is mended."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from platforms.letters import AlarmQueue, Letter

_HOLD_SECONDS: Final = 120
_AT_ONCE: Final = 10
_OURS: Final = frozenset({"reason", "rejected_by", "receives"})


@dataclass(frozen=True)
class Redriven:
    """One message, and whether it went back."""

    letter: Letter
    moved: bool

    @property
    def reason(self) -> str:
        return self.letter.attributes.get("reason", "the queue gave up on it")


def redrive(dead: AlarmQueue, queue: AlarmQueue, *, match: str, dry_run: bool) -> Iterator[Redriven]:
    """Every message once. Killed between sending and deleting, one is in both queues, and counts once by its alarms' ids.

    `match` is looked for in reason and body. Raises: PlatformError.
    """
    left = []
    try:
        for letter in _each(dead):
            wanted = match in letter.body or match in letter.attributes.get("reason", "")
            if dry_run or not wanted:
                left.append(letter)
                if wanted:
                    yield Redriven(letter, moved=False)
                continue
            queue.send(letter.body, {name: value for name, value in letter.attributes.items() if name not in _OURS})
            dead.acknowledge([letter])
            yield Redriven(letter, moved=True)
    finally:
        for letter in left:
            dead.hold(letter, 0)


def _each(dead: AlarmQueue) -> Iterator[Letter]:
    """What was seen stays invisible until the end, so that nothing is met twice."""
    seen: set[str] = set()
    while letters := dead.receive(most=_AT_ONCE, wait_seconds=1, hold_seconds=_HOLD_SECONDS):
        fresh = [letter for letter in letters if letter.id not in seen]
        if not fresh:
            return
        seen |= {letter.id for letter in fresh}
        yield from fresh
