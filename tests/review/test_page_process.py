"""`python -m review` as a process: it serves without Temporal, tells no secret, and leaves when it is told to."""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from runtime.identity import login_token
from runtime.readiness import free_port
from runtime.settings import Settings
from tests.review.page_harness import Visitor

pytestmark = pytest.mark.processes
ROOT = Path(__file__).resolve().parents[2]


def start(home: Path, port: int) -> subprocess.Popen[str]:
    own = {
        "HOMEOSTAT_HOME": str(home),
        "HOMEOSTAT_REVIEW_PORT": str(port),
        "HOMEOSTAT_REVIEW_URL": f"http://127.0.0.1:{port}",
        "TEMPORAL_ADDRESS": "127.0.0.1:9",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "review"],
        cwd=ROOT,
        env={**os.environ, **own},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_it_serves_without_temporal_and_leaves_in_order_with_a_page_open(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    token = login_token(Settings(home=tmp_path), person="anna", now=datetime.now(UTC))
    with start(tmp_path, port) as process, httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        _until_listening(process, port)
        assert client.get("/health").status_code == 503
        visitor = Visitor(client)
        assert visitor.log_in(token).status_code == 303
        assert "Temporal does not answer" in visitor.get("/").text
        assert visitor.get("/audit").status_code == 200
        with client.stream("GET", "/events", params={"topics": "inbox"}) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert next(stream.iter_lines()) == "event: ready"
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=30)
    assert process.returncode == 0, log
    assert time.monotonic() - began < 12
    assert "Traceback" not in log
    assert token not in log
    assert client.cookies["homeostat"] not in log
    folder = tmp_path / "identity"
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.glob("*.key"))} == {0}


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with start(tmp_path, other.getsockname()[1]) as process:
            _, log = process.communicate(timeout=30)
    assert process.returncode == 71
    assert "the review page can't listen on 127.0.0.1" in log
    assert "HOMEOSTAT_REVIEW_HOST and _PORT" in log


def _until_listening(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, process.communicate()[1]
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)
