"""One trace from the alarm at the bridge to the promotion: real bridge, real workflows, a world in memory."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from bridge.app import Bridge, build_app
from bridge.forward import Forwarder
from bridge.taking import Taking
from contracts.ids import lifecycle_id
from contracts.incident import Outcome
from runtime import telemetry
from runtime.client import DATA_CONVERTER
from runtime.settings import Settings
from tests.fakes import AS_OF, World, fake_platform
from tests.stories import Loop, a_policy, start_lifecycle, workers

SENDER = "4bf92f3577b34da6a3ce929d0e0e4736"
SECONDS = 55
ACTIVITIES = {
    "take_snapshot": 1,
    "train_challenger": 2,
    "current_champion": 1,
    "evaluate_challenger": 1,
    "judge_evidence": 1,
    "record": 2,
    "promote_challenger": 1,
    "bake": 1,
    "clean_up": 1,
    "notify": 1,
}


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[InMemorySpanExporter, telemetry.Telemetry]]:
    """Tracing as an entry point starts it. A process has one provider, so whichever there was comes back afterwards."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    exporter = InMemorySpanExporter()
    started = telemetry.start(Settings(), service="test", processors=[SimpleSpanProcessor(exporter)])
    yield exporter, started
    started.stop()


async def test_one_trace_runs_from_the_sender_through_bridge_and_gate_to_the_promotion_and_nothing_is_told_twice(
    temporal_env: WorkflowEnvironment,
    task_queue: str,
    tmp_path: Path,
    traced: tuple[InMemorySpanExporter, telemetry.Telemetry],
) -> None:
    exporter, started = traced
    client = await Client.connect(
        temporal_env.client.service_client.config.target_host, data_converter=DATA_CONVERTER, plugins=started.plugins
    )
    world = World()
    world.champion(quality=0.6)
    async with asyncio.timeout(SECONDS):
        await _promoted(
            Loop(temporal_env, client, world, client.get_workflow_handle(lifecycle_id(world.endpoint)), task_queue), tmp_path
        )
    spans = [span for span in exporter.get_finished_spans() if _trace_id(span) == SENDER]
    names = Counter(span.name for span in spans)
    assert {name: names[f"RunActivity:{name}"] for name in ACTIVITIES} == ACTIVITIES
    assert {name: names[name] for name in ("alarm", "StartChildWorkflow:Remediation", "RunWorkflow:Remediation")} == {
        "alarm": 1,
        "StartChildWorkflow:Remediation": 1,
        "RunWorkflow:Remediation": 1,
    }
    _check_descent(spans)


async def _promoted(loop: Loop, home: Path) -> None:
    """An alarm posted with the sender's traceparent is promoted by itself."""
    async with workers(loop.client, fake_platform(loop.world), loop.queue):
        await start_lifecycle(loop.client, loop.queue, loop.world.endpoint)
        await loop.lifecycle.execute_update("configure", a_policy(rollout={"watch": "0s"}))
        await _post(loop, home)
        status = await loop.closed()
        await loop.lifecycle.terminate()
    assert status.state.history[0].outcome is Outcome.PROMOTED


async def _post(loop: Loop, home: Path) -> None:
    alarm = {"id": "a", "endpoint": loop.world.endpoint, "kind": "model_quality", "as_of": AS_OF.isoformat()}
    transport = httpx.ASGITransport(build_app(Settings(home=home), Bridge(Taking(Forwarder(loop.client)))))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as bridge:
        answer = await bridge.post("/alarms", json=alarm, headers={"traceparent": f"00-{SENDER}-00f067aa0ba902b7-01"})
    assert answer.status_code in (200, 202), answer.text


def _trace_id(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}"


def _check_descent(spans: list[ReadableSpan]) -> None:
    """Every span of the trace hangs under another one of it, but for the bridge's, which hangs under the sender's."""
    ids = {span.context.span_id for span in spans if span.context}
    assert len(ids) == len(spans)
    loose = {span.name for span in spans if span.parent is None or span.parent.span_id not in ids}
    assert loose == {"alarm"}
