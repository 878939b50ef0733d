"""`notify --test`: people see before the first alarm whether a channel works, and no secret is shown."""

from pathlib import Path

import pytest

from console.exits import Exit
from tests.console.conftest import Run, run_here
from tests.platforms.receivers import hook

SECRET = "hunter2-Tr0ub4dor"
FLEET = """\
version: 1
channels:
  ops: {url: "json://127.0.0.1:PORT/${OPS_PATH}"}
defaults: {team: growth, cost_center: cc-1}
endpoints:
  bikes:
    data: {table: bikes, features: [hour], label: busy}
    review: {channels: [ops]}
"""


@pytest.fixture
def run() -> Run:
    return run_here


def fleet(tmp_path: Path, port: int) -> str:
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET.replace("PORT", str(port)))
    return str(path)


async def test_a_test_message_arrives_and_says_that_it_is_one(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_PATH", SECRET)
    with hook() as web:
        ran = await run("notify", "--test", "ops", "--fleet", fleet(tmp_path, web.port), "--json")
    assert ran.exit == Exit.DONE
    assert ran.data == {"channel": "ops", "address": "json://127.0.0.1", "told": True}
    assert web.got[0]["title"] == "homeostat: a test of the channel ops"
    assert "Nothing has happened" in web.got[0]["message"]
    assert SECRET not in ran.out + ran.err


async def test_what_is_wrong_with_a_channel_is_said_without_its_secrets(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hook(401) as web:
        path = fleet(tmp_path, web.port)
        unset = await run("notify", "--test", "ops", "--fleet", path)
        monkeypatch.setenv("OPS_PATH", SECRET)
        refused = await run("notify", "--test", "ops", "--fleet", path)
        unknown = await run("notify", "--test", "slack", "--fleet", path)
    assert (unset.exit, refused.exit, unknown.exit) == (Exit.UNREACHABLE, Exit.UNREACHABLE, Exit.MISSING)
    assert "the environment variable OPS_PATH is not set" in unset.err
    assert "json://127.0.0.1: HTTP 401" in refused.err
    assert "has no channel 'slack'. Known: ops" in unknown.err
    assert SECRET not in refused.out + refused.err
