"""The whole system as `make up` starts it, in a folder and on ports of its own, with synthetic traffic that drifts."""

import asyncio
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import pyarrow as pa
import yaml
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from contracts.ids import lifecycle_id
from contracts.incident import LifecycleStatus, RemediationStatus
from contracts.review import Notice
from platforms.local.feature_store import LocalFeatureStore
from platforms.local.serving_port import LocalServing
from platforms.notices import SentNotice
from platforms.ports import Platform
from runtime.client import DATA_CONVERTER
from runtime.local_run import LocalRun, on_embedded_server
from runtime.process_group import PROJECT, Process, ProcessGroup
from runtime.readiness import free_port
from runtime.settings import Settings
from runtime.wiring import platform_from

T = TypeVar("T")
START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS, DRIFT_DAY, ONBOARDED_DAY = 90, 45, 40
LABEL_DELAY = timedelta(hours=1)
COMMAND_SECONDS = 40


def day(n: float) -> datetime:
    return START + timedelta(days=n)


def hourly_rows() -> pa.Table:
    """One row an hour; `x` drives the label, and on DRIFT_DAY it turns round. Labels come an hour late."""
    n, chance = 24 * DAYS, np.random.default_rng(3)
    x, noise = chance.normal(size=n), chance.normal(size=n)
    turned = np.where(np.arange(n) < 24 * DRIFT_DAY, 1, -1)
    label = (chance.random(n) < 1 / (1 + np.exp(-3 * turned * x))).astype(float)
    events = np.datetime64(START.replace(tzinfo=None), "us") + np.arange(n) * np.timedelta64(1, "h")
    return pa.table(
        {
            "id": [f"row-{i}" for i in range(n)],
            "event_time": pa.array(events, pa.timestamp("us", "UTC")),
            "label_time": pa.array(events + np.timedelta64(LABEL_DELAY), pa.timestamp("us", "UTC")),
            "label": label,
            "x": x,
            "noise": noise,
        }
    )


def endpoint_policy(**learner: float) -> dict[str, Any]:
    """Real spans of data time, short timers; one automatic promotion, and then people are asked."""
    return {
        "team": "mobility",
        "cost_center": "cc-7",
        "data": {
            "table": "rows",
            "features": ["x", "noise"],
            "label": "label",
            "label_delay": "1h",
            "coverage": {"min_days": 10},
        },
        "training": {"recipe": {"horizons": ["15d"], "learner": {"rounds": 20, **learner}}, "max_runtime": "5m"},
        "intake": {"cool_down": "0s", "promotions_start": 1, "promotions_per_week": 0},
        "review": {"timeout": "1h", "unverified": "accept"},
        "rollout": {"bake": "0.5s", "watch": "0s"},
    }


def event(endpoint: str, id_: str, *, kind: str = "model_quality", **attributes: str) -> dict[str, Any]:
    envelope = {"specversion": "1.0", "id": id_, "source": "/tests", "type": "homeostat.alarm", "subject": endpoint}
    return {**envelope, **attributes, "data": {"kind": kind, "severity": "high"}}


@dataclass
class System:
    """Commands run as a person types them; the rest reads what the loop left."""

    settings: Settings
    run: LocalRun
    group: ProcessGroup
    environment: dict[str, str | None]
    platform: Platform

    @property
    def home(self) -> Path:
        return self.settings.home

    def process(self, name: str) -> Process:
        found = next(each for each in self.run.processes() if each.name == name)
        return replace(found, env={**found.env, **self.environment})

    def command(self, words: str) -> str:
        """Run a command as it was printed, with this interpreter as `python`; returns what it printed."""
        done = self.attempt(words)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def attempt(self, words: str) -> subprocess.CompletedProcess[str]:
        program, *rest = shlex.split(words)
        assert program == "python"
        merged = {**os.environ, **self.environment}
        env = {name: value for name, value in merged.items() if value is not None}
        return subprocess.run(
            [sys.executable, *rest], cwd=PROJECT, env=env, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )

    def alarm(self, endpoint: str, id_: str, as_of: datetime, kind: str = "model_quality") -> None:
        """A CloudEvent over HTTP, as any detector sends it."""
        answer = self.post(event(endpoint, id_, time=as_of.isoformat(), kind=kind))
        assert answer.status_code in (200, 202), answer.text

    def post(self, body: dict[str, Any]) -> httpx.Response:
        return httpx.post(f"{self.settings.bridge_url}/alarms", json=body, timeout=20)

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        async def connected() -> T:
            async with asyncio.timeout(20):
                return await question(await Client.connect(self.run.address, data_converter=DATA_CONVERTER))

        return asyncio.run(connected())

    def status(self, endpoint: str) -> LifecycleStatus:
        return self.ask(lambda client: _query(client, lifecycle_id(endpoint), LifecycleStatus))

    def remediation(self, endpoint: str) -> RemediationStatus | None:
        """How the open incident stands."""
        now_open = self.status(endpoint).state.open
        try:
            return self.ask(lambda client: _query(client, now_open.workflow_id, RemediationStatus)) if now_open else None
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None  # the lifecycle has decided to start it, the server hasn't yet

    def closed(self, endpoint: str, incidents: int, seconds: float = 50) -> LifecycleStatus:
        self.until(lambda: len(self.status(endpoint).state.history) >= incidents, f"{incidents} incidents of {endpoint}", seconds)
        return self.status(endpoint)

    def in_stage(self, endpoint: str, stage: str, seconds: float = 50) -> str:
        """The workflow id of the open incident, once it has come to `stage`."""

        def there() -> bool:
            now = self.remediation(endpoint)
            return now is not None and now.stage.value == stage

        self.until(there, f"{endpoint} in {stage}", seconds)
        now_open = self.status(endpoint).state.open
        assert now_open is not None
        return now_open.workflow_id

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 50) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            self.group.check()
            assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
            time.sleep(0.1)

    def notice(self, endpoint: str, kind: str) -> tuple[Notice, str]:
        """The newest of its kind in the outbox, and its page."""
        found: list[Path] = []

        def sent() -> bool:
            found[:] = [p for p in sorted((self.home / "outbox").glob("*.json")) if _is(p, endpoint, kind)]
            return bool(found)

        self.until(sent, f"a {kind} notice about {endpoint}")
        return SentNotice.model_validate_json(found[-1].read_bytes()).notice, found[-1].with_suffix(".md").read_text()

    def predict(self, endpoint: str, rows: pa.Table) -> str:
        """Ask the served model about the rows; returns its digest."""
        url = LocalServing(self.home).describe(endpoint).url
        requests = [
            {"id": r["id"], "event_time": r["event_time"].isoformat(), "features": {"x": r["x"], "noise": r["noise"]}}
            for r in rows.to_pylist()
        ]
        answer = httpx.post(f"{url}/predict", json={"requests": requests}, timeout=20)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["answers"]) == rows.num_rows
        return str(answer.json()["model"])

    def temporary(self, endpoint: str) -> list[str]:
        return [r.id for r in self.platform.inventory.list() if r.tags.endpoint == endpoint]


async def _query(client: Client, workflow_id: str, kind: type[T]) -> T:
    answer: T = await client.get_workflow_handle(workflow_id).query("status", result_type=kind)
    return answer


def _is(path: Path, endpoint: str, kind: str) -> bool:
    notice = SentNotice.model_validate_json(path.read_bytes()).notice
    return (notice.endpoint, notice.kind.value) == (endpoint, kind)


@contextmanager
def started(
    home: Path, endpoints: dict[str, dict[str, Any]], *, without: tuple[str, ...] = (), until: int = DAYS
) -> Iterator[System]:
    """History up to a day in the feature store, processes up, fleet file applied; all gone at the end."""
    ports = {name: free_port() for name in ("server", "ui", "bridge", "review")}
    address = f"127.0.0.1:{ports['server']}"
    settings = Settings(
        home=home.resolve(),
        bridge_port=ports["bridge"],
        bridge_url=f"http://127.0.0.1:{ports['bridge']}",
        review_port=ports["review"],
        review_url=f"http://127.0.0.1:{ports['review']}",
        ui_url=f"http://127.0.0.1:{ports['ui']}",
    )
    fleet = home / "fleet.yaml"
    fleet.write_text(yaml.safe_dump({"version": 1, "endpoints": endpoints}))
    LocalFeatureStore(settings.home).append("rows", hourly_rows().slice(0, 24 * until))
    environment = {
        **on_embedded_server(address),
        "HOMEOSTAT_HOME": str(settings.home),
        "HOMEOSTAT_BRIDGE_PORT": str(settings.bridge_port),
        "HOMEOSTAT_BRIDGE_URL": settings.bridge_url,
        "HOMEOSTAT_REVIEW_PORT": str(settings.review_port),
        "HOMEOSTAT_REVIEW_URL": settings.review_url,
        "HOMEOSTAT_UI_URL": settings.ui_url,
    }
    with ProcessGroup(settings.home, say=lambda line: None) as group:
        system = System(settings, LocalRun(settings, fleet, address), group, environment, platform_from(settings))
        for process in system.run.processes():
            if process.name not in without:
                group.start(system.process(process.name))
        system.command(f"python starter.py apply {fleet}")
        yield system
