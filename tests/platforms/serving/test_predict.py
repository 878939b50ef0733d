"""The HTTP face without a process: what it does when its surroundings fail."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from learning.artifact import Model
from platforms.errors import Invalid
from platforms.local.capture import CaptureWriter, read_segment, segments
from platforms.local.predict import InService, PredictService
from platforms.local.serving_port import LocalServing
from platforms.local.serving_state import InstanceState
from platforms.tabular.artifact_file import load_model


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return tmp_path / "capture" / "bikes"


@pytest.fixture
def service(tmp_path: Path, capture: Path, tools: Any) -> PredictService:
    ref = tools.make_model(tmp_path, "bikes")
    model = load_model(tmp_path / "registry" / "bikes" / ref.digest / "model.json", ref.digest)
    found = PredictService("bikes", CaptureWriter(capture), lambda: InstanceState(pid=1, heartbeat=datetime.now(UTC)))
    found.in_service = InService(model, 0.5)
    return found


async def call(service: PredictService, *rows: dict[str, Any]) -> httpx.Response:
    transport = httpx.ASGITransport(app=service.app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://bikes") as client:
        return await client.post("/predict", json={"requests": list(rows)})


async def test_an_answer_is_captured_before_it_leaves(service: PredictService, capture: Path, tools: Any) -> None:
    answer = (await call(service, tools.request_row("a"))).json()["answers"][0]
    row = read_segment(segments(capture)[0]).rows[0]
    assert (row.id, row.score, row.answer) == (answer["id"], answer["score"], answer["label"])


async def test_a_full_disk_is_counted_and_does_not_stop_the_endpoint(
    service: PredictService, capture: Path, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    await call(service, tools.request_row("a"))
    real = os.write
    monkeypatch.setattr(os, "write", full)
    assert (await call(service, tools.request_row("b"), tools.request_row("c"))).status_code == 200
    monkeypatch.setattr(os, "write", real)
    assert (await call(service, tools.request_row("d"))).status_code == 200
    assert service.tally.uncaptured == 2
    assert [row.id for row in read_segment(segments(capture)[0]).rows] == ["a", "d"]


async def test_a_model_that_fails_is_an_error_of_ours_and_nothing_is_captured(
    service: PredictService, capture: Path, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise Invalid("the model wants other columns")

    monkeypatch.setattr(Model, "score", broken)
    answer = await call(service, tools.request_row("a"))
    assert (answer.status_code, answer.json()["error"]) == (500, "the model wants other columns")
    assert (service.tally.errors, service.tally.rejected) == (1, 0)
    assert segments(capture) == []


async def test_a_draining_instance_asks_its_callers_to_connect_anew(service: PredictService, tools: Any) -> None:
    assert "connection" not in (await call(service, tools.request_row("a"))).headers
    service.draining = True
    assert (await call(service, tools.request_row("b"))).headers["connection"] == "close"


@pytest.mark.parametrize("name", ["../other", "", "a/b", ".."])
def test_a_name_that_leads_elsewhere_is_never_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="is not allowed"):
        LocalServing(tmp_path).describe(name)
