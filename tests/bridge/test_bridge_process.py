"""`python -m bridge` as people run it: a real process, a real socket, a Temporal that comes and goes."""

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from contracts.ids import lifecycle_id
from runtime.temporal_server import ServerOptions, running

pytestmark = pytest.mark.processes
ALARM = {"id": "a-1", "endpoint": "bikes", "kind": "bias", "as_of": "2012-03-04T05:00:00Z"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def _started(home: Path, **variables: str) -> Process:
    given = {"HOMEOSTAT_HOME": str(home), "HOMEOSTAT_BRIDGE_PORT": "0", **variables}
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "bridge", stderr=PIPE, env={**os.environ, **given})


@asynccontextmanager
async def bridge(home: Path, **variables: str) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    process = await _started(home, **variables)
    assert process.stderr
    try:
        url = json.loads(await asyncio.wait_for(process.stderr.readline(), 30))["url"]
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            yield process, http
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), 30)


async def test_while_temporal_is_away_nothing_is_acknowledged_and_afterwards_it_is(tmp_path: Path) -> None:
    port = free_port()
    options = ServerOptions(tmp_path, port=port, ui_port=0)
    async with bridge(tmp_path, TEMPORAL_ADDRESS=f"127.0.0.1:{port}") as (_, http):
        await expect_away(http)
        async with running(options) as server:
            client = await Client.connect(server.address)
            handle = await client.start_workflow("Lifecycle", id=lifecycle_id("bikes"), task_queue="nobody")
            assert (await http.post("/alarms", json=ALARM)).status_code == 202
            assert (await http.get("/health")).json() == {"status": "ok", "temporal": "serving"}
        await expect_away(http)
        async with running(options) as server:
            assert (await http.post("/alarms", json=ALARM)).status_code == 202
            handle = (await Client.connect(server.address)).get_workflow_handle(lifecycle_id("bikes"))
            signals = [
                e async for e in handle.fetch_history_events() if e.HasField("workflow_execution_signaled_event_attributes")
            ]
            assert len(signals) == 2
    assert not (tmp_path / "bridge" / "rejected.jsonl").exists(), "an alarm that is to be sent again was not rejected"


async def expect_away(http: httpx.AsyncClient) -> None:
    answer = await http.post("/alarms", json=[ALARM, {"bad": 1}])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "send the whole body again" in answer.json()["error"]
    assert (await http.get("/health")).status_code == 503


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_it_finishes_what_was_begun_and_ends_well(
    tmp_path: Path, client: Client, name: signal.Signals
) -> None:
    async with bridge(tmp_path, TEMPORAL_ADDRESS=client.service_client.config.target_host) as (process, http):

        async def slow_body() -> AsyncIterator[bytes]:
            yield b"["
            await asyncio.sleep(0.5)  # the request has to have begun there, on a busy machine too
            process.send_signal(name)
            await asyncio.sleep(0.5)
            yield json.dumps({**ALARM, "endpoint": "nobody"}).encode() + b"]"

        answer = await http.post("/alarms", content=slow_body(), headers={"content-type": "application/json"})
        assert answer.status_code == 404
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_a_port_in_use_is_named_with_the_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await _started(tmp_path, HOMEOSTAT_BRIDGE_PORT=str(port))
        _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 71
    assert said.decode().startswith(
        f"the bridge can't listen on 127.0.0.1:{port} (Address already in use). Stop what listens there"
    )


async def test_a_full_body_limit_is_answered_before_the_body_is_read(tmp_path: Path, client: Client) -> None:
    async with bridge(tmp_path, TEMPORAL_ADDRESS=client.service_client.config.target_host) as (_, http):
        answer = await http.post("/alarms", content=b" " * 3_000_000, headers={"content-type": "application/json"})
        assert answer.status_code == 413


async def test_spans_go_to_the_collector_that_the_standard_variable_names(tmp_path: Path, client: Client) -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split(b":")[1])
        received.put_nowait(head + await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(collect, "127.0.0.1", 0) as collector:
        target = f"http://127.0.0.1:{collector.sockets[0].getsockname()[1]}"
        variables = {"TEMPORAL_ADDRESS": client.service_client.config.target_host, "OTEL_EXPORTER_OTLP_ENDPOINT": target}
        async with bridge(tmp_path, **variables) as (_, http):
            await http.post("/alarms", json={**ALARM, "endpoint": "nobody"})
        sent = await asyncio.wait_for(received.get(), 30)
    assert sent.startswith(b"POST /v1/traces ")
    assert b"homeostat-bridge" in sent
    assert b"alarm.kind" in sent
