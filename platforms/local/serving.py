"""The supervisor of all endpoints of this home: `python -m platforms.local.serving [--home DIR] [--host HOST]`.

It watches `serving/*/desired.json`, keeps one listening socket and the wanted number of instance processes per endpoint, replaces
those that crash, drains those that are too many, and compacts what they captured. When it dies, however, its instances see the
pipe close and leave.
"""

import argparse
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import sleep

import structlog
from pydantic import TypeAdapter, ValidationError

from contracts.base import EndpointName
from platforms.errors import PlatformError
from platforms.local.capture_table import compact, merge_day
from platforms.local.endpoint_group import EndpointGroup
from platforms.local.process_log import log_to_stderr
from platforms.local.serving_counts import forget_old_counts
from platforms.local.serving_state import Layout, held, serving_lock, supervisor_lock

_POLL_SECONDS = 0.05
_COMPACT_SECONDS = 1.0
_LOCK_SECONDS = 2.0
_STOP_SECONDS = 15.0
_NAME: TypeAdapter[str] = TypeAdapter(EndpointName)
_log = structlog.get_logger()


class Supervisor:
    """All endpoints under one home."""

    def __init__(self, home: Path, host: str) -> None:
        self._home = home
        self._host = host
        self._groups: dict[str, EndpointGroup] = {}
        self._refused: set[str] = set()
        self._troubles: dict[str, str] = {}
        self._stop = threading.Event()

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Serve until told to stop; then drain every instance and compact what is left."""
        _log.info("supervisor_started", home=str(self._home), pid=os.getpid())
        compactor = threading.Thread(target=self._compact_until_stopped, name="compactor")
        compactor.start()
        try:
            while not self._stop.wait(_POLL_SECONDS):
                self.poll()
        finally:
            self._stop.set()
            self._drain()
            compactor.join()
            self._compact_all()
        _log.info("supervisor_stopped", home=str(self._home))

    def poll(self) -> None:
        """One look at every endpoint; trouble with one leaves the others alone."""
        wanted = {path.parent.name for path in (self._home / "serving").glob("*/desired.json")}
        for name in sorted(wanted | set(self._groups)):
            group = self._group(name)
            if group is not None:
                self._contained(group.endpoint, group.reconcile)

    def _group(self, name: str) -> EndpointGroup | None:
        if name not in self._groups and name not in self._refused:
            try:
                self._groups[name] = EndpointGroup(self._home, _NAME.validate_python(name), self._host)
            except ValidationError:
                self._refused.add(name)
                _log.error("endpoint_name_refused", name=name[:80], reason="1 to 63 letters, digits and hyphens")
        return self._groups.get(name)

    def _drain(self) -> None:
        for group in self._groups.values():
            group.drain_all()
        for _ in range(int(_STOP_SECONDS / _POLL_SECONDS)):
            running = [group.reap() for group in self._groups.values()]
            if not any(running):
                break
            sleep(_POLL_SECONDS)
        for group in self._groups.values():
            self._contained(group.endpoint, group.close)

    def _compact_until_stopped(self) -> None:
        while not self._stop.wait(_COMPACT_SECONDS):
            self._compact_all()

    def _compact_all(self) -> None:
        for folder in sorted((self._home / "capture").glob("*")):
            self._contained(f"{folder.name} capture", partial(_compact, folder))
        for name in list(self._groups):
            self._contained(f"{name} counts", partial(forget_old_counts, Layout(self._home, name).counts, datetime.now(UTC)))

    def _contained(self, what: str, work: Callable[[], None]) -> None:
        """Run the work; a named failure is logged once, tried again at the next look, and its end is logged too."""
        try:
            work()
        except (PlatformError, OSError) as error:
            if self._troubles.get(what) != str(error):
                _log.error("serving_in_trouble", what=what, reason=str(error))
            self._troubles[what] = str(error)
            return
        if self._troubles.pop(what, None):
            _log.info("serving_trouble_over", what=what)


def _compact(capture: Path) -> None:
    for day in compact(capture):
        merge_day(capture, day)


def supervise(home: Path, host: str) -> int:
    """Run the one supervisor of this home; returns the exit code: 0 told to stop, 1 another one runs."""
    (home / "serving").mkdir(parents=True, exist_ok=True)
    for _ in range(int(_LOCK_SECONDS / _POLL_SECONDS)):
        with held(supervisor_lock(home)) as free:
            if free:
                return _supervise(home, host)
        sleep(_POLL_SECONDS)
    _log.error(
        "supervisor_refused", home=str(home), reason="another supervisor serves this home; stop it first or use another home"
    )
    return 1


def _supervise(home: Path, host: str) -> int:
    """Clear what an earlier supervisor left behind, and only then say that this home is served."""
    for path in (home / "serving").glob("*/instances/*.json"):
        path.unlink(missing_ok=True)
    for path in (home / "serving").glob("*/state.json"):
        EndpointGroup.forget_instances(path)
    supervisor = Supervisor(home, host)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    for _ in range(int(_LOCK_SECONDS / _POLL_SECONDS)):
        with held(serving_lock(home)) as free:
            if free:
                supervisor.run()
                return 0
        sleep(_POLL_SECONDS)
    return 1


def main() -> None:
    """Serve every endpoint that has a deployment under this home."""
    parser = argparse.ArgumentParser(prog="python -m platforms.local.serving", description=main.__doc__)
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("HOMEOSTAT_HOME", "var")))
    parser.add_argument("--host", default=os.environ.get("HOMEOSTAT_SERVING_HOST", "127.0.0.1"), help="address to listen at")
    given = parser.parse_args()
    log_to_stderr("serving", os.environ.get("HOMEOSTAT_LOG_LEVEL", "info"))
    with suppress(KeyboardInterrupt):
        raise SystemExit(supervise(given.home.absolute(), given.host))


if __name__ == "__main__":
    main()
