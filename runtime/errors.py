"""Why an entry point can't start or go on. The exit codes are those of sysexits.h, so that scripts can tell them apart.

StartError               1    base of all; the message names the thing, what was found and the remedy
├── TemporalUnreachable  69   nothing answers at the Temporal address
├── PortTaken            71   another process listens where we should
├── Misconfigured        78   settings, environment or server can't be right; a person has to mend them
└── FleetFileError       65   the fleet file has mistakes (runtime/fleet_file.py)
"""

from typing import ClassVar


class StartError(Exception):
    """An entry point prints the message to stderr, without a traceback, and ends with `exit_code`."""

    exit_code: ClassVar[int] = 1


class TemporalUnreachable(StartError):
    exit_code = 69


class PortTaken(StartError):
    exit_code = 71


class Misconfigured(StartError):
    exit_code = 78
