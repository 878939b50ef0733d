"""A real supervisor with real models, and callers that notice every failed request."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import lightgbm
import numpy as np
import psutil
import pytest

from contracts.rollout import Deployment, DeployModel, ServingPolicy
from contracts.snapshot import DataPolicy, Window
from contracts.training import ModelCard, ModelRef, Recipe
from learning.artifact import Artifact, Member
from platforms.errors import Unavailable
from platforms.files import write_contract
from platforms.local.feature_table import FeatureTable
from platforms.local.serving_port import LocalServing
from platforms.local.traffic import LocalTrafficLog
from platforms.ports import Served, Serving, TrafficLog
from platforms.tabular.artifact_file import write_model
from tests.platforms.serving.captured import LATE, WEEK

FEATURES = ("hour", "temperature")
ROOT = Path(__file__).parents[3]


def eventually(what: str, look: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first truthy answer of `look`; fails with `what` when none comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def make_model(home: Path, endpoint: str, seed: int = 1, reference: dict[str, float] | None = None) -> ModelRef:
    """A small model that says yes above hour 12, registered as the registry would."""
    rng = np.random.default_rng(seed)
    rows = rng.random((400, len(FEATURES))) * 24
    settings = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": seed, "deterministic": True}
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, (rows[:, 0] > 12).astype(float)), 10)
    members = (Member(name="all", trees=booster.model_to_string()),)
    draft, digest = write_model(home / "drafts", Artifact(features=FEATURES, members=members))
    folder = home / "registry" / endpoint / digest
    folder.mkdir(parents=True, exist_ok=True)
    draft.replace(folder / "model.json")
    model = ModelRef(endpoint=endpoint, digest=digest)
    card = ModelCard(
        model=model,
        artifact_uri=str(folder / "model.json"),
        recipe=Recipe(),
        features=FEATURES,
        trained_through="2024-01-01T00:00:00Z",
        rows=400,
        base_rate=0.5,
        dataset_sha256="0" * 64,
        incident="test",
        reference=reference or {},
    )
    write_contract(folder / "card.json", card)
    return model


def request_row(id: str, event_time: str = "2024-03-01T10:00:00Z", hour: float | None = 18.0) -> dict[str, Any]:  # noqa: A002
    return {"id": id, "event_time": event_time, "features": {"hour": hour, "temperature": 3.5}}


def post(url: str, *rows: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{url}/predict", json={"requests": list(rows)}, timeout=20)


@dataclass
class Supervisor:
    """`python -m platforms.local.serving` as its own process."""

    home: Path
    process: subprocess.Popen[bytes]
    serving: LocalServing

    def deploy(self, model: ModelRef, key: str, **settings: Any) -> Deployment:
        """Deploy and wait until it has landed."""
        request = DeployModel(key=key, model=model, serving=ServingPolicy(**settings))
        eventually("the supervisor takes the deployment", lambda: self._try(request))
        return self.landed(model)

    def landed(self, model: ModelRef) -> Deployment:
        def look() -> Deployment | None:
            found = self.serving.describe(model.endpoint)
            return found if found.landed and found.wanted == model.digest else None

        found: Deployment = eventually(f"{model.digest[:12]} has landed", look)
        return found

    def instances(self, endpoint: str) -> list[int]:
        state = json.loads((self.home / "serving" / endpoint / "state.json").read_bytes())
        return [*state["instances"], *state["draining"]]

    def _try(self, request: DeployModel) -> bool:
        try:
            self.serving.deploy(request)
        except Unavailable:
            return False
        return True


@contextmanager
def supervising(home: Path) -> Iterator[Supervisor]:
    """A supervisor for the block; afterwards it is told to end, and everything it started must be gone."""
    home.mkdir(parents=True, exist_ok=True)
    log = home / "supervisor.log"
    with log.open("ab") as stream:
        command = [sys.executable, "-m", "platforms.local.serving", "--home", str(home)]
        process = subprocess.Popen(command, cwd=ROOT, stderr=stream)
    children: list[psutil.Process] = []
    try:
        yield Supervisor(home, process, LocalServing(home))
        children = psutil.Process(process.pid).children() if process.poll() is None else []
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


@dataclass
class Load:
    """Callers that post all the time; every answer that isn't 200, and every broken connection, is kept as a failure."""

    url: str
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    models: set[str] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, caller: int, keep_alive: bool) -> None:
        limits = httpx.Limits(max_keepalive_connections=1 if keep_alive else 0)
        number = 0
        with httpx.Client(limits=limits, timeout=20) as client:
            while not self._stop.is_set():
                number += 1
                self._one(client, f"{os.getpid()}-{caller}-{number}")

    def _one(self, client: httpx.Client, id: str) -> None:  # noqa: A002
        try:
            answer = client.post(f"{self.url}/predict", json={"requests": [request_row(id)]})
            failure = None if answer.status_code == 200 else f"{answer.status_code} {answer.text}"
        except httpx.HTTPError as error:
            failure = repr(error)
        with self._lock:
            self.answered += 1
            self.failures += [failure] if failure else []
            if failure is None:
                self.models.add(answer.json()["model"])

    def wait_for(self, more: int) -> None:
        goal = self.answered + more
        eventually(f"{more} more answers", lambda: self.answered >= goal)


@contextmanager
def under_load(url: str, callers: int = 4) -> Iterator[Load]:
    """Half of the callers keep their connections, half open a new one for each call."""
    load = Load(url)
    threads = [threading.Thread(target=load.call, args=(i, i % 2 == 0)) for i in range(callers)]
    for thread in threads:
        thread.start()
    try:
        load.wait_for(20)
        yield load
    finally:
        load._stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serving") / "home"


@pytest.fixture(scope="module")
def supervisor(shared_home: Path) -> Iterator[Supervisor]:
    """One supervisor for a module's tests; each test has endpoints of its own."""
    with supervising(shared_home) as running:
        yield running


@pytest.fixture
def serving(supervisor: Supervisor) -> Serving:
    return supervisor.serving


@pytest.fixture
def traffic(shared_home: Path) -> TrafficLog:
    return LocalTrafficLog(shared_home)


@pytest.fixture
def data() -> DataPolicy:
    return DataPolicy(table="rides", features=FEATURES, label="busy", label_delay=timedelta(hours=1))


@dataclass(frozen=True)
class Tools:
    """What tests call; conftest modules can't be imported."""

    eventually: Callable[..., Any] = eventually
    make_model: Callable[..., ModelRef] = make_model
    request_row: Callable[..., dict[str, Any]] = request_row
    post: Callable[..., httpx.Response] = post
    supervising: Callable[[Path], Any] = supervising
    under_load: Callable[..., Any] = under_load
    root: Path = ROOT


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def capture(home: Path) -> Path:
    return home / "capture" / "bikes"


@pytest.fixture
def replay(home: Path, data: DataPolicy) -> Any:
    def look(window: Window = WEEK, known_at: datetime = LATE, **changes: Any) -> Served:
        return LocalTrafficLog(home).replay("bikes", data.model_copy(update=changes), window, known_at)

    return look


@pytest.fixture
def table(home: Path) -> FeatureTable:
    found = FeatureTable(home / "features", "rides")
    found.folder.mkdir(parents=True)
    return found
