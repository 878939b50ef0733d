"""`doctor`: names what is missing, and what to do about it."""

import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from temporalio.client import Client

from runtime.settings import MAIN_QUEUE
from tests.console.conftest import Run
from tests.fakes import World, fake_platform
from tests.stories import workers


def found(data: dict[str, Any]) -> dict[str, bool]:
    return {check["name"]: check["ok"] for check in data["checks"]}


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Any:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Healthy) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        for door in ("BRIDGE", "REVIEW"):
            monkeypatch.setenv(f"HOMEOSTAT_{door}_URL", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


async def test_everything_there_is_well(run: Run, fleet: Client, bridge: Any) -> None:
    async with workers(fleet, fake_platform(World()), MAIN_QUEUE):
        ran = await run("doctor", "--json")
    assert ran.exit == 0, ran.out
    assert all(found(ran.data).values())
    assert {"activities on homeostat-training", "workflows on homeostat", "bridge", "review page", "home", "disk"} <= set(
        found(ran.data)
    )


async def test_each_missing_thing_is_named_with_its_remedy(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    monkeypatch.setenv("HOMEOSTAT_BRIDGE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HOMEOSTAT_REVIEW_URL", "http://127.0.0.1:9")
    home.parent.joinpath("home").write_text("a file where the home should be", encoding="utf-8")
    ran, shown = await run("doctor", "--json"), await run("doctor")
    assert ran.exit == 1
    assert found(ran.data) == {
        "Temporal": False,
        "bridge": False,
        "review page": False,
        "home": False,
        "disk": True,
        "keys": True,
    }
    assert all(check["remedy"] or "make up" in check["found"] for check in ran.data["checks"] if not check["ok"])
    assert shown.out.count("FAIL") == 4


async def test_a_full_disk_is_seen_before_it_hurts(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(home.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    ran = await run("doctor", "--json")
    assert found(ran.data)["disk"] is False


async def test_a_private_key_that_others_can_read_is_named_with_the_command_that_mends_it(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "ana.key"
    await run("keygen", "--person", "ana", "--out", str(mine))
    await run("login", "--person", "ana")
    monkeypatch.setenv("HOMEOSTAT_KEY_FILE", str(mine))
    assert found((await run("doctor", "--json")).data)["keys"] is True
    for path in (mine, home / "identity" / "links.key"):
        path.chmod(0o644)
    ran = await run("doctor", "--json")
    (check,) = (check for check in ran.data["checks"] if check["name"] == "keys")
    assert check["found"] == "2 of 2 private keys can be read by others"
    assert check["remedy"] == f"chmod 600 {home / 'identity' / 'links.key'}; chmod 600 {mine}"
