"""How a verb can end. Scripts rely on the numbers: never change one.

Halt
├── Refused       1   understood, and refused or failed
├── Usage         2   what was typed, or a file it names, can't be right
├── Unreachable   3   Temporal, a worker or the platform doesn't answer
├── Missing       4   the endpoint, incident or record isn't there
└── Broken        5   the audit chain, or another file, isn't what was written

A verb may also answer with 6 or 7: `reproduce` found something different, or could not check everything.
"""

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    MISSING = 4
    BROKEN = 5
    DIFFERENT = 6
    UNCHECKED = 7


MEANING = {
    Exit.DONE: "done, or nothing was left to do",
    Exit.REFUSED: "refused or failed: what was asked for did not happen, or not all of it",
    Exit.USAGE: "wrong usage: an argument, a setting or the fleet file has a mistake; nothing was changed",
    Exit.UNREACHABLE: "Temporal, a worker or the platform can't be reached, or did not answer in time",
    Exit.MISSING: "not found: no such endpoint, incident or audit record",
    Exit.BROKEN: "broken: the audit chain, or another file, is not what was written",
    Exit.DIFFERENT: "different: a decision was taken again and something is not as it was recorded",
    Exit.UNCHECKED: "unchecked: nothing differs from the record, but not all of it could be checked",
}


class Halt(Exception):
    """Ends a verb. `kind` tells scripts which refusal it was; the remedy tells people what to do now."""

    exit: ClassVar[Exit] = Exit.REFUSED

    def __init__(self, message: str, remedy: str = "", *, kind: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.kind = kind or type(self).__name__


class Refused(Halt):
    exit = Exit.REFUSED


class Usage(Halt):
    exit = Exit.USAGE


class Unreachable(Halt):
    exit = Exit.UNREACHABLE


class Missing(Halt):
    exit = Exit.MISSING


class Broken(Halt):
    exit = Exit.BROKEN
