"""`python -m tests.aws [--port P] [--speed N] [--home DIR]`: a simulated AWS account over HTTP, until SIGTERM.

Prints one line of JSON with its address when it serves. Reach it with AWS_ENDPOINT_URL.
"""

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("MOTO_ACCOUNT_ID", "123456789012")
os.environ.setdefault("MOTO_EVENTS_INVOKE_HTTP", "false")

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from tests.aws.front import Front
from tests.aws.overlay.installed import INSTALL, PASSED
from tests.aws.world import World


def main() -> int:
    given = _parser().parse_args()
    home = given.home or Path(tempfile.mkdtemp(prefix="sim-"))
    world = World(home, given.speed)
    world.passed |= PASSED
    moto = DomainDispatcherApplication(create_backend_app)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", given.port, Front(world, moto), threaded=True, request_handler=MotoRequestHandler)
    world.url = f"http://127.0.0.1:{server.server_port}"
    for install in INSTALL:
        install(world)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    print(json.dumps({"url": world.url, "pid": os.getpid()}), flush=True)
    try:
        with contextlib.suppress(SystemExit):
            server.serve_forever()
    finally:
        world.end()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.aws", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="on loopback; 0 lets the system choose (default)")
    parser.add_argument("--speed", type=float, default=60.0, help="simulated seconds in a real one (default: %(default)s)")
    parser.add_argument("--home", type=Path, help="scratch folder; a new one under the system's without it")
    return parser


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(
        code
    )  # dozens of threads are still asleep or at work; an interpreter that is taken down around them may wait for ever
