"""Where the demo lives and on which ports: its own folder, free ports, nothing shared with a homeostat that runs already."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.errors import Misconfigured
from runtime.local_run import LocalRun, on_embedded_server
from runtime.process_group import Process
from runtime.readiness import free_port
from runtime.settings import Settings

ENDPOINT = "bikes"
FLEET_FILE = Path(__file__).with_name("fleet.yaml")
MADE_BY = ".made-by-demo"
"""Marks a folder as the demo's own, so that a run clears nothing that it did not make."""
KEPT = (MADE_BY, "run")
"""The process group keeps its lock and records in `run`: they are how a run finds what a killed one left."""
MONITOR_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Place:
    """One run's folder and addresses."""

    settings: Settings
    temporal: str
    """Address of the embedded server."""

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def environment(self) -> dict[str, str | None]:
        """What every process of the demo reads, `starter.py` included; None takes the caller's own setting away."""
        own = self.settings
        ours: dict[str, str | None] = {name: None for name in os.environ if name.startswith("HOMEOSTAT_")}
        return {
            **ours,
            **on_embedded_server(self.temporal),
            "HOMEOSTAT_HOME": str(own.home),
            "HOMEOSTAT_BRIDGE_PORT": str(own.bridge_port),
            "HOMEOSTAT_BRIDGE_URL": own.bridge_url,
            "HOMEOSTAT_REVIEW_PORT": str(own.review_port),
            "HOMEOSTAT_REVIEW_URL": own.review_url,
            "HOMEOSTAT_UI_URL": own.ui_url,
            "HOMEOSTAT_MONITOR_POLL_SECONDS": str(own.monitor_poll_seconds),
        }

    def processes(self) -> list[Process]:
        """The same processes as `make up` starts."""
        run = LocalRun(self.settings, FLEET_FILE, self.temporal)
        return [replace(each, env={**each.env, **self.environment}) for each in run.processes()]


def find_place(var: Path, folder: str = "demo") -> Place:
    """Take four free ports for a run in `var`/`folder`."""
    ports: set[int] = set()
    while len(ports) < 4:  # noqa: PLR2004 - server, its UI, bridge, review page
        ports.add(free_port())
    server, ui, bridge, review = sorted(ports)
    settings = Settings(
        home=(var / folder).resolve(),
        anchors=None,
        platform="local",
        bridge_host="127.0.0.1",
        bridge_port=bridge,
        bridge_url=f"http://127.0.0.1:{bridge}",
        bridge_token=None,
        review_host="127.0.0.1",
        review_port=review,
        review_url=f"http://127.0.0.1:{review}",
        ui_url=f"http://127.0.0.1:{ui}",
        monitor_poll_seconds=MONITOR_POLL_SECONDS,
    )
    return Place(settings, f"127.0.0.1:{server}")


def claim(home: Path) -> None:
    """Make the folder, or accept the one that an earlier demo made.

    Raises:
        Misconfigured: there is a folder with content that no demo made.
    """
    if home.exists() and any(home.iterdir()) and not (home / MADE_BY).is_file():
        raise Misconfigured(f"{home} was not made by the demo, so it is left alone. Move it away, or set HOMEOSTAT_HOME.")
    home.mkdir(parents=True, exist_ok=True)
    (home / MADE_BY).write_text("`make demo` made this folder and clears it when it runs again.\n")


def clear(home: Path) -> None:
    """Remove what an earlier run left in its folder; call it while the process group holds the folder."""
    for entry in home.iterdir():
        if entry.name in KEPT:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
