"""Whose an alarm is: by its tag, then by its metric's dimension, then by the names that the fleet file lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import structlog

from bridge.reading import Json
from contracts.fleet import Fleet, MissingData
from runtime.fleet_file import FleetFileError, load

TAGS: Final = ("homeostat:endpoint", "endpoint")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Routes:
    """What the fleet file says of alarms, and how AWS's names of endpoints begin here."""

    prefix: str = ""
    patterns: tuple[tuple[str, str], ...] = ()
    """Pattern of an alarm's name, and the endpoint."""
    missing_data: frozenset[str] = frozenset()
    """Endpoints for which data that stops coming is an alarm."""

    def endpoint_of(self, *, tags: Mapping[str, Json], dimension: Json, names: Sequence[str]) -> str | None:
        """`names` are the alarm's, and of a composite alarm also those of the alarms that triggered it."""
        tagged = next((tags[tag] for tag in TAGS if isinstance(tags.get(tag), str) and tags[tag]), None)
        return tagged or self._by_dimension(dimension) or self._by_name(names)

    def ours(self, name: str) -> str | None:
        """Our name of an endpoint of AWS; None for one that is none of ours."""
        return name.removeprefix(self.prefix) if name.startswith(self.prefix) else None

    def _by_dimension(self, dimension: Json) -> str | None:
        return self.ours(dimension) if isinstance(dimension, str) and dimension else None

    def _by_name(self, names: Sequence[str]) -> str | None:
        for name in names:
            for pattern, endpoint in self.patterns:
                if fnmatchcase(name, pattern):
                    return endpoint
        return None


NO_ROUTES: Final = Routes()


def routes_of(fleet: Fleet, prefix: str) -> Routes:
    """The pattern with more letters counts first: `prod-bikes-*` before `prod-*`."""
    listed = [(pattern, name) for name, policy in fleet.endpoints.items() for pattern in policy.intake.alarms]
    missing = [name for name, policy in fleet.endpoints.items() if policy.intake.missing_data is MissingData.ALARM]
    return Routes(prefix, tuple(sorted(listed, key=lambda one: (-len(one[0]), one))), frozenset(missing))


class FleetRoutes:
    """Reads the fleet file again when it has changed. While it is wrong, what it said before goes on to count."""

    def __init__(self, path: Path | None, prefix: str = "") -> None:
        self._path = path
        self._prefix = prefix
        self._stamp: tuple[int, int] | None = None
        self._routes = Routes(prefix)

    def now(self) -> Routes:
        if self._path is not None and (stamp := _stamp(self._path)) != self._stamp:
            self._stamp = stamp
            try:
                self._routes = routes_of(load(self._path), self._prefix)
            except FleetFileError as error:
                log.warning("fleet_file_not_read", path=str(self._path), reason=str(error)[:500])
        return self._routes


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
