"""What `make up` runs: every process of docker-compose.yml, without containers, on the embedded Temporal server."""

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from platforms.locks import lock_held
from runtime.client import DEFAULT_ADDRESS
from runtime.errors import Misconfigured
from runtime.process_group import Process
from runtime.process_records import Records, heeds_sigterm
from runtime.readiness import http_ready
from runtime.settings import MAIN_QUEUE, TRAINING_QUEUE, Settings
from runtime.temporal_readiness import queue_ready, temporal_ready

SERVER = "temporal-server"
WORKER_GRACE_SECONDS = 30.0
"""More than a draining worker gives its steps, so that they end in order."""
SERVING_GRACE_SECONDS = 25.0
"""More than the supervisor waits for its instances to drain."""
BRIDGE_GRACE_SECONDS = 20.0
"""More than the bridge, and the review page, give the calls that have begun."""
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class LocalRun:
    """The processes in the order of their start; they end in reverse."""

    settings: Settings
    fleet: Path
    address: str

    @property
    def ports(self) -> dict[str, int]:
        """Each port that must be free, by the setting that moves it."""
        return {
            "TEMPORAL_ADDRESS": _port(self.address),
            "HOMEOSTAT_UI_URL": _port(self.settings.ui_url),
            "HOMEOSTAT_BRIDGE_PORT": self.settings.bridge_port,
            "HOMEOSTAT_REVIEW_PORT": self.settings.review_port,
        }

    def processes(self) -> list[Process]:
        since = datetime.now(UTC)
        main = partial(queue_ready, self.address, MAIN_QUEUE, since)
        training = partial(queue_ready, self.address, TRAINING_QUEUE, since)
        bridge = partial(http_ready, f"http://{self.settings.bridge_host}:{self.settings.bridge_port}/health")
        review = partial(http_ready, f"http://{self.settings.review_host}:{self.settings.review_port}/health")
        serving = partial(lock_held, self.settings.home / "serving" / ".serving.lock")
        env = on_embedded_server(self.address)
        python = sys.executable
        return [
            Process(SERVER, self._server(), env, partial(temporal_ready, self.address)),
            Process("worker", [python, "worker.py", "--queues", "main"], env, main, grace_seconds=WORKER_GRACE_SECONDS),
            Process(
                "worker-training",
                [python, "worker.py", "--queues", "training"],
                env,
                training,
                grace_seconds=WORKER_GRACE_SECONDS,
            ),
            Process("bridge", [python, "-m", "bridge"], env, bridge, grace_seconds=BRIDGE_GRACE_SECONDS),
            Process("review", [python, "-m", "review"], env, review, grace_seconds=BRIDGE_GRACE_SECONDS),
            Process("serving", [python, "-m", "platforms.local.serving"], env, serving, grace_seconds=SERVING_GRACE_SECONDS),
            Process("monitor", [python, "-m", "platforms.local.monitor", "--fleet", str(self.fleet)], env, self._monitor_loops),
        ]

    def _monitor_loops(self) -> bool:
        """It opens no port and holds no lock: it has read its fleet file when it heeds SIGTERM."""
        record = Records(self.settings.home).alive().get("monitor")
        process = record.find() if record else None
        return process is not None and heeds_sigterm(process)

    def _server(self) -> list[str]:
        home, port, ui_port = str(self.settings.home.resolve()), str(_port(self.address)), str(_port(self.settings.ui_url))
        return [sys.executable, "-m", "runtime.temporal_server", "--home", home, "--port", port, "--ui-port", ui_port]


def embedded_address() -> str:
    """Where the embedded server listens: TEMPORAL_ADDRESS when it names this machine, else the usual port."""
    address = os.environ.get("TEMPORAL_ADDRESS") or DEFAULT_ADDRESS
    if urlsplit(f"//{address}").hostname not in LOOPBACK_NAMES:
        raise Misconfigured(
            f"TEMPORAL_ADDRESS is {address}, another machine, but `make up` starts a Temporal server on this one. "
            "Unset it; or start worker.py, `python -m bridge` and the rest yourself, as docs/runbook.md says."
        )
    return address


def on_embedded_server(address: str) -> dict[str, str | None]:
    """The environment in which Temporal's own code finds the embedded server, whatever is configured for others."""
    foreign: dict[str, str | None] = {name: None for name in os.environ if name.startswith("TEMPORAL_")}
    return {**foreign, "TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": "default", "TEMPORAL_CONFIG_FILE": os.devnull}


def _port(address: str) -> int:
    """The port of `host:port` or of a URL."""
    parts = urlsplit(address if "//" in address else f"//{address}")
    if parts.port is None:
        raise Misconfigured(f"{address!r} names no port")
    return parts.port
