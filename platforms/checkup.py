"""Whether everything is there that a platform needs, found before the loop stumbles over it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from platforms.errors import PlatformError


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `remedy` is empty where it is well."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


class Checkup(Protocol):
    def findings(self) -> Sequence[Finding]:
        """Raises nothing: what can't be looked at is a finding too."""
        ...


Look = Callable[[], Iterable[Finding]]


def looked(name: str, look: Look, remedy: str) -> Iterator[Finding]:
    """What `look` finds; where it fails, that is the finding."""
    try:
        yield from list(look())
    except PlatformError as error:
        yield Finding(name, ok=False, found=str(error)[:500], remedy=remedy)


def judged(name: str, found: str, wrong: Sequence[str], remedy: str) -> Finding:
    """Well where nothing is wrong."""
    return Finding(name, ok=not wrong, found="; ".join(wrong)[:4000] if wrong else found, remedy=remedy if wrong else "")
