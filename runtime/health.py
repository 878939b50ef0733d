"""For container health checks, exit 0 when in order: `python -m runtime.health http URL | queue main|training | lock FILE`."""

import argparse
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from platforms.locks import lock_held
from runtime.errors import StartError
from runtime.leaving import leave
from runtime.readiness import http_ready
from runtime.settings import MAIN_QUEUE, TRAINING_QUEUE

QUEUES = {"main": MAIN_QUEUE, "training": TRAINING_QUEUE}
RECENT = timedelta(minutes=3)
"""A poll lasts a minute; a worker that has not begun one for so long is stuck."""


def _queue(name: str) -> bool:
    """A worker on this very host polls; another's polls say nothing about this one."""
    from runtime.client import profile
    from runtime.temporal_readiness import queue_ready  # the other checks start five times faster without it

    return queue_ready(profile()["target_host"], QUEUES[name], datetime.now(UTC) - RECENT, f"@{socket.gethostname()}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m runtime.health", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("http", help="an address answers 2xx").add_argument("what", metavar="URL")
    kinds.add_parser("queue", help="a worker of this host polls").add_argument("what", choices=sorted(QUEUES))
    kinds.add_parser("lock", help="a process holds this lock file").add_argument("what", metavar="FILE")
    given = parser.parse_args(arguments)
    checks: dict[str, Callable[[str], bool]] = {"http": http_ready, "queue": _queue, "lock": lambda path: lock_held(Path(path))}
    try:
        healthy = checks[given.kind](given.what)
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{given.kind} {given.what}: {'in order' if healthy else 'not in order'}\n")
    return 0 if healthy else 1


if __name__ == "__main__":
    leave(main())
