"""The monitor of live quality: `python -m platforms.local.monitor --fleet FILE [--bridge-url URL] [--home DIR] [--once]`."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import structlog
import yaml
from pydantic import ValidationError

from contracts.fleet import Fleet
from platforms.alarm_post import AlarmPost
from platforms.errors import Corrupt, Invalid, NotFound, PlatformError
from platforms.files import read_bytes
from platforms.local.process_log import log_to_stderr
from platforms.local.quality import EndpointMonitor
from platforms.local.serving_state import stamp

_log = structlog.get_logger()


class Monitor:
    """Every endpoint of a fleet file, which is read again when it changes."""

    def __init__(self, fleet: Path, home: Path, post: AlarmPost) -> None:
        self._path = fleet
        self._home = home
        self._post = post
        self._seen: tuple[int, int, int] | None = None
        self._monitors: dict[str, EndpointMonitor] = {}
        self._troubles: dict[str, str] = {}

    def load(self) -> None:
        """Read the fleet file if it is new. Raises: NotFound, Invalid; what was read before then stays."""
        found = stamp(self._path)
        if found is not None and found == self._seen:
            return
        self._seen = found
        fleet = read_fleet(self._path)
        self._monitors = {name: EndpointMonitor(self._home, name, policy, self._post) for name, policy in fleet.endpoints.items()}

    def poll(self) -> int:
        """One look at every endpoint; returns how many had trouble. Trouble with one leaves the others alone."""
        troubled = [self._contained(str(self._path), self.load)]
        troubled += [self._contained(name, monitor.judge) for name, monitor in self._monitors.items()]
        return sum(troubled)

    def _contained(self, what: str, work: Callable[[], object]) -> bool:
        """Run the work; a named failure is logged once and tried again at the next look."""
        try:
            work()
        except (PlatformError, OSError) as error:
            if self._troubles.get(what) != str(error):
                _log.error("monitor_in_trouble", what=what, reason=str(error))
            self._troubles[what] = str(error)
            return True
        self._troubles.pop(what, None)
        return False


def read_fleet(path: Path) -> Fleet:
    """Raises: NotFound, Invalid (every field that is wrong)."""
    try:
        return Fleet.model_validate(_folded(yaml.safe_load(read_bytes(path))), extra="forbid")
    except yaml.YAMLError as error:
        raise Invalid(f"{path} is not YAML: {error}") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise Invalid(f"{path}: {faults}") from None


def _folded(document: object) -> object:
    """With `defaults` laid under every endpoint, as `runtime/fleet_file.py` lays them; other shapes the contract refuses."""
    if not isinstance(document, dict):
        return document
    rest = {key: value for key, value in document.items() if key != "defaults"}
    defaults, endpoints = document.get("defaults"), rest.get("endpoints")
    if not isinstance(defaults, dict) or not isinstance(endpoints, dict):
        return rest
    return rest | {"endpoints": {name: _merged(defaults, own) for name, own in endpoints.items()}}


def _merged(under: object, over: object) -> object:
    """Mappings are merged, anything else wins over what lies under it."""
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    return under | {key: _merged(under.get(key), value) for key, value in over.items()}


def run(monitor: Monitor, *, poll_seconds: float, once: bool) -> int:
    """Look until told to stop; returns the exit code, 1 where the only look had trouble."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    troubled = monitor.poll()
    while not once and not stop.wait(poll_seconds):
        troubled = monitor.poll()
    return int(once and troubled > 0)


def main() -> None:
    """Judge live quality as labels arrive, and raise alarms over HTTP."""
    environment = os.environ
    parser = argparse.ArgumentParser(prog="python -m platforms.local.monitor", description=main.__doc__)
    parser.add_argument("--fleet", type=Path, required=True)
    parser.add_argument("--bridge-url", default=environment.get("HOMEOSTAT_BRIDGE_URL", "http://127.0.0.1:8088"))
    parser.add_argument("--home", type=Path, default=Path(environment.get("HOMEOSTAT_HOME", "var")))
    poll_seconds = environment.get("HOMEOSTAT_MONITOR_POLL_SECONDS", "5")
    parser.add_argument("--poll-seconds", type=float, default=poll_seconds)
    parser.add_argument("--once", action="store_true", help="look once, then end; exit code 1 on trouble")
    given = parser.parse_args()
    log_to_stderr("monitor", environment.get("HOMEOSTAT_LOG_LEVEL", "info"))
    with AlarmPost(given.bridge_url, environment.get("HOMEOSTAT_BRIDGE_TOKEN")) as post:
        monitor = Monitor(given.fleet, given.home.absolute(), post)
        try:
            monitor.load()
        except (NotFound, Invalid, Corrupt) as error:
            sys.exit(f"{error}")
        sys.exit(run(monitor, poll_seconds=given.poll_seconds, once=given.once))


if __name__ == "__main__":
    main()
