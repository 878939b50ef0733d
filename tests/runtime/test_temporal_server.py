"""The embedded server: really started, really stopped, and what it said is kept."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from runtime import search_attributes, temporal_server
from runtime.errors import Misconfigured, PortTaken, StartError
from runtime.temporal_server import ServerOptions, binary, claim_port, running


async def test_search_attributes_are_created_once(client: Client) -> None:
    assert await search_attributes.ensure(client) == ()


@pytest.mark.processes
async def test_what_was_acknowledged_survives_a_killed_server(tmp_path: Path) -> None:
    options = ServerOptions(tmp_path, port=0, ui_port=0)
    async with running(options) as server:
        before = await Client.connect(server.address)
        await before.start_workflow("Nobody", id="kept", task_queue="none")
        async with httpx.AsyncClient() as browser:
            assert (await browser.get(server.ui_url)).status_code == 200
        server.process.kill()
        await server.process.wait()
    async with running(options) as server:
        after = await Client.connect(server.address)
        assert (await after.get_workflow_handle("kept").describe()).workflow_type == "Nobody"
        assert await search_attributes.ensure(after) == ()


@pytest.mark.processes
async def test_in_memory_nothing_is_written_but_the_log(tmp_path: Path) -> None:
    async with running(ServerOptions(tmp_path, port=0, ui_port=0, memory=True)) as server:
        address = server.address
    assert not (tmp_path / "temporal").exists()
    with pytest.raises((RuntimeError, RPCError)):
        await Client.connect(address)


async def test_a_server_that_ends_at_once_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "temporal" / "temporal.db").mkdir(parents=True)
    with pytest.raises(StartError, match=r"ended with code \d+\. The end of .*temporal\.log:\n.*unable to open database file"):
        async with running(ServerOptions(tmp_path, port=0, ui_port=0)):
            pytest.fail("a folder is no database")


def test_a_port_in_use_is_named_with_the_remedy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} on 127\.0\.0\.1 can't be used \(Address already in use\).*--ui-port"):
            claim_port("127.0.0.1", port, "--ui-port")
        assert temporal_server.main(["--home", str(tmp_path), "--port", str(port)]) == 71
    assert f"port {port}" in capsys.readouterr().err


def test_without_the_program_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert binary().name.startswith("temporal")
    monkeypatch.setenv("PATH", "")
    assert binary().parent == Path(sys.executable).parent, "the environment's own folder is found although it isn't on PATH"
    monkeypatch.setattr(temporal_server.sysconfig, "get_path", lambda _: "/nowhere")
    with pytest.raises(Misconfigured, match="Install the extra `local`"):
        binary()


@pytest.mark.processes
@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
async def test_in_the_foreground_it_serves_until_told_to_stop_and_takes_the_child_along(
    tmp_path: Path, name: signal.Signals
) -> None:
    command = ["-m", "runtime.temporal_server", "--home", str(tmp_path), "--port", "0", "--ui-port", "0", "--memory"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stderr=asyncio.subprocess.PIPE, env={**os.environ, "NO_COLOR": "1"}
    )
    assert process.stderr
    line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
    address = next(word for word in line.replace('"', " ").split() if word.startswith("127.0.0.1:"))
    await Client.connect(address)
    process.send_signal(name)
    assert await asyncio.wait_for(process.wait(), 30) == 0
    with pytest.raises((RuntimeError, RPCError)):
        await Client.connect(address)
