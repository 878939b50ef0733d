"""The local supervisor and its instances when things go wrong: crashes, kills, bad models, taken ports, hostile callers."""

import json
import os
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from contracts.rollout import CheckBake, DeployModel, ServingPolicy
from contracts.snapshot import DataPolicy, Window
from platforms.errors import Corrupt, Unavailable
from platforms.local.feature_table import FeatureTable
from platforms.local.serving_port import LocalServing
from platforms.local.traffic import LocalTrafficLog

pytestmark = pytest.mark.processes


@pytest.fixture
def register(supervisor: Any, tools: Any) -> Any:
    return lambda endpoint, seed=1: tools.make_model(supervisor.home, endpoint, seed)


def captured_ids(home: Path, endpoint: str, data: DataPolicy) -> list[str]:
    """Every id that was captured, whenever its event was."""
    FeatureTable(home / "features", data.table).folder.mkdir(parents=True, exist_ok=True)
    window = Window(start=datetime(2000, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC))
    return [str(i) for i in LocalTrafficLog(home).replay(endpoint, data, window, window.end).ids]


def running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_without_a_supervisor_the_remedy_is_named(tmp_path: Path, tools: Any) -> None:
    model = tools.make_model(tmp_path, "alone")
    with pytest.raises(Unavailable, match=r"start `python -m platforms\.local\.serving"):
        LocalServing(tmp_path).deploy(DeployModel(key="k1", model=model, serving=ServingPolicy()))


def test_a_second_supervisor_of_the_same_home_is_refused(supervisor: Any, register: Any) -> None:
    import subprocess
    import sys

    supervisor.deploy(register("guarded"), "k1")
    command = [sys.executable, "-m", "platforms.local.serving", "--home", str(supervisor.home)]
    second = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert second.returncode == 1
    assert b"another supervisor serves this home" in second.stderr
    assert supervisor.serving.describe("guarded").landed


def test_a_killed_instance_is_replaced_counted_and_loses_no_captured_answer(
    supervisor: Any, register: Any, tools: Any, data: DataPolicy
) -> None:
    since = datetime.now(UTC)
    model = register("killed")
    url = supervisor.deploy(model, "k1", instances=2).url
    victim = supervisor.instances("killed")[0]
    answered = []
    for number in range(40):
        if number == 20:
            os.kill(victim, signal.SIGKILL)
        try:
            answer = tools.post(url, tools.request_row(f"r{number}"))
        except httpx.HTTPError:
            continue
        answered.append(answer.json()["answers"][0]["id"])
    tools.eventually("a replacement runs", lambda: victim not in supervisor.instances("killed") and supervisor.landed(model))
    assert tools.post(url, tools.request_row("after")).status_code == 200
    assert len(answered) >= 39
    assert set(captured_ids(supervisor.home, "killed", data)) == {*answered, "after"}
    report = supervisor.serving.health(CheckBake(endpoint="killed", digest=model.digest, since=since, max_error_rate=0.0))
    assert (report.healthy, report.errors) == (False, 1)


def test_a_killed_supervisor_leaves_no_orphan_and_the_next_one_takes_over(tmp_path: Path, tools: Any, data: DataPolicy) -> None:
    model = tools.make_model(tmp_path, "orphan")
    with tools.supervising(tmp_path) as first:
        url = first.deploy(model, "k1", instances=2).url
        tools.post(url, tools.request_row("before"))
        pids = first.instances("orphan")
        first.process.kill()
        first.process.wait()
        with pytest.raises(Unavailable):
            first.serving.describe("orphan")
        tools.eventually("its instances are gone", lambda: not any(running(pid) for pid in pids))
    with tools.supervising(tmp_path) as second:
        deployment = second.landed(model) if _seen(second, tools) else None
        assert deployment is not None
        assert deployment.url == url
        assert tools.post(url, tools.request_row("after")).status_code == 200
    assert captured_ids(tmp_path, "orphan", data) == ["after", "before"]
    assert not list((tmp_path / "capture" / "orphan" / "wal").glob("*.jsonl"))


def _seen(supervisor: Any, tools: Any) -> bool:
    def look() -> bool:
        try:
            supervisor.serving.describe("orphan")
        except Unavailable:
            return False
        return True

    return bool(tools.eventually("the supervisor serves", look))


def test_a_model_that_was_changed_on_disk_stays_out_and_the_old_one_serves_on(supervisor: Any, register: Any, tools: Any) -> None:
    good, bad = register("tampered", 1), register("tampered", 2)
    url = supervisor.deploy(good, "k1").url
    artifact = supervisor.home / "registry" / "tampered" / bad.digest / "model.json"
    whole = artifact.read_bytes()
    request = DeployModel(key="k2", model=bad, serving=ServingPolicy())
    artifact.write_bytes(whole.replace(b"split", b"splat", 1))
    with pytest.raises(Corrupt, match="digest"):
        supervisor.serving.deploy(request)
    artifact.write_bytes(whole)
    supervisor.serving.describe("tampered")
    desired = supervisor.home / "serving" / "tampered" / "desired.json"
    artifact.write_bytes(whole.replace(b"split", b"splat", 1))
    desired.write_text(desired.read_text().replace(good.digest, bad.digest))
    failed = tools.eventually("the failure is told", lambda: (d := supervisor.serving.describe("tampered")).failure and d)
    assert (failed.landed, failed.wanted, failed.digests) == (False, bad.digest, {good.digest: 1})
    assert "has digest" in failed.failure
    assert tools.post(url, tools.request_row("a")).json()["model"] == good.digest


def test_a_fresh_instance_falls_back_to_the_model_that_last_worked(supervisor: Any, register: Any, tools: Any) -> None:
    good = register("fallback")
    url = supervisor.deploy(good, "k1").url
    desired = supervisor.home / "serving" / "fallback" / "desired.json"
    desired.write_text(desired.read_text().replace(good.digest, "ab" * 32))
    tools.eventually("the failure is told", lambda: supervisor.serving.describe("fallback").failure)
    victim = supervisor.instances("fallback")[0]
    os.kill(victim, signal.SIGKILL)
    tools.eventually("it is replaced", lambda: victim not in supervisor.instances("fallback"))
    assert tools.post(url, tools.request_row("a")).json()["model"] == good.digest
    assert not supervisor.serving.describe("fallback").landed


def test_an_endpoint_without_any_loadable_model_says_so(supervisor: Any, register: Any, tools: Any) -> None:
    model = register("empty")
    artifact = supervisor.home / "registry" / "empty" / model.digest / "model.json"
    whole = artifact.read_bytes()
    folder = supervisor.home / "serving" / "empty"
    folder.mkdir(parents=True)
    artifact.unlink()
    wanted = {"endpoint": "empty", "digest": model.digest, "artifact": str(artifact), "instances": 1, "port": 0, "threshold": 0.5}
    (folder / "desired.json").write_text(json.dumps(wanted | {"key": "k"}))
    url = tools.eventually("an instance runs", lambda: (d := supervisor.serving.describe("empty")).failure and d.url)
    answer = tools.post(url, tools.request_row("a"))
    assert answer.status_code == 503
    assert "has no model in service yet" in answer.json()["error"]
    assert httpx.get(f"{url}/health").status_code == 503
    artifact.write_bytes(whole)
    supervisor.landed(model)
    assert tools.post(url, tools.request_row("a")).status_code == 200


def test_a_port_in_use_is_named_with_its_remedy_and_taken_once_it_is_free(supervisor: Any, register: Any, tools: Any) -> None:
    model, other = register("port-taken"), register("port-free")
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        request = DeployModel(key="k1", model=model, serving=ServingPolicy(port=port))
        supervisor.serving.deploy(request)
        failure = tools.eventually("the failure is told", lambda: supervisor.serving.describe("port-taken").failure)
        assert f"port {port}" in failure
        assert "Free the port, or set another serving.port" in failure
        assert supervisor.deploy(other, "k1").landed
    assert supervisor.landed(model).url.endswith(f":{port}")


def test_moving_to_another_port_serves_there_and_leaves_the_old_one(supervisor: Any, register: Any, tools: Any) -> None:
    model = register("moving")
    former = supervisor.deploy(model, "k1").url
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    supervisor.deploy(model, "k2", port=port)
    url = tools.eventually(
        "it has moved", lambda: (d := supervisor.serving.describe("moving")).url.endswith(f":{port}") and d.landed and d.url
    )
    assert tools.post(url, tools.request_row("a")).status_code == 200

    def left() -> bool:
        try:
            httpx.get(f"{former}/health", timeout=2)
        except httpx.TransportError:
            return True
        return False

    tools.eventually("nobody listens at the old port", left)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": ""}, "requests[0].id"),
        ({"id": "x" * 201}, "requests[0].id"),
        ({"id": "a\nb"}, "requests[0].id"),
        ({"event_time": "2024-03-01T10:00:00"}, "requests[0].event_time"),
        ({"event_time": 1709287200}, "requests[0].event_time"),
        ({"event_time": "0001-01-01T00:00:00+14:00"}, "requests[0].event_time"),
        ({"features": {"hour": "ten", "temperature": 1.0}}, "requests[0].features.hour"),
        ({"features": {"hour": True, "temperature": 1.0}}, "requests[0].features.hour"),
        ({"features": {"hour": 1.0}}, "requests[0].features.temperature"),
        ({"features": {"hour": 1.0, "temperature": 1.0, "rain": 1.0}}, "requests[0].features.rain"),
        ({"colour": "red"}, "requests[0].colour"),
    ],
)
def test_a_call_that_is_not_valid_is_refused_with_the_field_named(
    supervisor: Any, register: Any, tools: Any, change: dict[str, Any], field: str
) -> None:
    url = supervisor.deploy(register("strict"), "k1").url
    answer = tools.post(url, tools.request_row("a") | change)
    assert answer.status_code == 422
    assert field in [fault["field"] for fault in answer.json()["fields"]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"not json", 422),
        (b"\xff\xfe", 422),
        (b"[" * 50_000, 422),
        (b'{"requests": []}', 422),
        (b'{"requests":[{"id":"a","event_time":"2024-03-01T10:00:00Z","features":{"hour":NaN,"temperature":1e999}}]}', 422),
        (b" " * (2 * 1024 * 1024 + 1), 413),
    ],
)
def test_a_hostile_body_is_refused_and_the_endpoint_serves_on(
    supervisor: Any, register: Any, tools: Any, body: bytes, status: int
) -> None:
    url = supervisor.deploy(register("hostile"), "k1").url
    assert httpx.post(f"{url}/predict", content=body).status_code == status
    assert tools.post(url, tools.request_row("a", hour=None)).status_code == 200


def test_too_many_rows_in_a_call_are_refused(supervisor: Any, register: Any, tools: Any) -> None:
    url = supervisor.deploy(register("many"), "k1").url
    assert tools.post(url, *[tools.request_row(f"{i}") for i in range(1000)]).status_code == 200
    assert tools.post(url, *[tools.request_row(f"{i}") for i in range(1001)]).status_code == 422


def test_metrics_speak_of_every_instance_whichever_is_asked(supervisor: Any, register: Any, tools: Any) -> None:
    model = register("metered")
    url = supervisor.deploy(model, "k1", instances=2).url
    for number in range(10):
        tools.post(url, tools.request_row(f"{number}"))
    tools.post(url, {"id": "broken"})

    def total(name: str) -> float:
        lines = httpx.get(f"{url}/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"homeostat_{name}{{"))

    names = ("requests_total", "rejected_total", "errors_total", "ready", "model_info", "request_seconds_count")
    wanted = (11, 1, 0, 2, 2, 11)  # soon, since each instance knows its own counts at once and the other's a moment later
    tools.eventually("both instances tell the same", lambda: tuple(map(total, names)) == wanted)
    assert model.digest in httpx.get(f"{url}/metrics").text


def test_an_endpoint_name_that_could_leave_its_folder_is_never_served(supervisor: Any, register: Any) -> None:
    folder = supervisor.home / "serving" / "..evil"
    folder.mkdir(parents=True)
    (folder / "desired.json").write_text("{}")
    supervisor.deploy(register("after-evil"), "k1")
    assert not (folder / "state.json").exists()
