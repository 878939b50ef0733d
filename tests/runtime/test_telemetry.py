"""One trace from alarm to activity on a real server, and log lines that machines and people can read."""

import io
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Event

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import Client
from temporalio.worker import Worker

from contracts.alarm import Alarm, AlarmKind
from runtime import telemetry
from runtime.client import DATA_CONVERTER
from runtime.errors import Misconfigured
from runtime.sandbox import RUNNER
from runtime.settings import Settings
from tests.runtime.traced_story import TracedChild, TracedLifecycle, traced_step
from workflows.tracing import current_traceparent, within


@pytest.fixture(scope="module")
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    started = telemetry.start(Settings(), service="test", processors=[SimpleSpanProcessor(exporter)])
    yield exporter
    started.stop()


async def _run_story(client: Client, task_queue: str, cached: int) -> tuple[str, str]:
    """The trace id of the alarm's span, and the traceparent that the activity saw."""
    traced = await Client.connect(
        client.service_client.config.target_host, data_converter=DATA_CONVERTER, plugins=telemetry.Telemetry(_provider()).plugins
    )
    worker = Worker(
        traced,
        task_queue=task_queue,
        workflows=[TracedLifecycle, TracedChild],
        activities=[traced_step],
        workflow_runner=RUNNER,
        max_cached_workflows=cached,
    )
    async with worker:
        handle = await traced.start_workflow(TracedLifecycle.run, id=task_queue, task_queue=task_queue)
        with trace.get_tracer("test").start_as_current_span("alarm") as span:
            alarm = Alarm(
                id="a",
                endpoint="bikes",
                kind=AlarmKind.DATA_DRIFT,
                as_of=datetime(2012, 1, 1, tzinfo=UTC),
                trace=current_traceparent(),
            )
            await handle.signal(TracedLifecycle.alarm, alarm)
        return f"{span.get_span_context().trace_id:032x}", await handle.result()


def _provider() -> telemetry.ReplaySafeTracerProvider:
    provider = trace.get_tracer_provider()
    assert isinstance(provider, telemetry.ReplaySafeTracerProvider)
    return provider


@pytest.mark.parametrize("cached", [0, 100])
async def test_one_trace_runs_from_the_alarm_into_the_child_and_its_activity(
    client: Client, task_queue: str, spans: InMemorySpanExporter, cached: int
) -> None:
    spans.clear()
    trace_id, seen = await _run_story(client, task_queue, cached)
    assert seen.split("-")[1] == trace_id
    names = [s.name for s in spans.get_finished_spans() if f"{s.get_span_context().trace_id:032x}" == trace_id]
    wanted = {"alarm", "StartChildWorkflow:TracedChild", "RunWorkflow:TracedChild", "RunActivity:traced_step"}
    assert wanted <= set(names)
    assert len(names) == len(set(names)), f"a span was written twice: {names}"


@pytest.mark.parametrize("traceparent", [None, "", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "é\n"])
def test_text_that_is_no_traceparent_changes_nothing(traceparent: str | None) -> None:
    before = trace.get_current_span()
    with within(traceparent):
        assert trace.get_current_span() is before


def test_no_variable_set_means_no_tracing() -> None:
    assert telemetry.start(Settings(), service="worker") == telemetry.Telemetry()
    assert telemetry.Telemetry().plugins == ()


def test_a_protocol_that_is_not_built_in_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(Misconfigured, match=r"OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'.*http/protobuf"):
        telemetry.start(Settings(), service="worker")


def test_a_collector_that_never_answers_does_not_keep_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = Event()

    class Stuck(SimpleSpanProcessor):
        def shutdown(self) -> None:
            answered.wait(30)

    monkeypatch.setattr(telemetry, "_STOP_SECONDS", 0.05)
    provider = telemetry.create_tracer_provider(shutdown_on_exit=False)
    provider.add_span_processor(Stuck(InMemorySpanExporter()))
    begun = time.monotonic()
    telemetry.Telemetry(provider).stop()
    assert time.monotonic() - begun < 10
    answered.set()


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], io.StringIO]:
    """Configures logging onto a buffer that is a terminal or not."""

    def configure(terminal: bool) -> io.StringIO:
        sink = io.StringIO()
        monkeypatch.setattr(sink, "isatty", lambda: terminal)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", sink)
            telemetry.configure_logging(Settings())
        return sink

    return configure


def test_away_from_a_terminal_each_log_line_is_one_json_object(logs: Callable[[bool], io.StringIO]) -> None:
    stderr = logs(False)
    structlog.get_logger("ours").info("alarm_forwarded", endpoint="bikes", incident="i", stage="gate")
    logging.getLogger("theirs").warning(
        "slow %s", "query", extra={"temporal_workflow": {"workflow_id": "w", "attempt": 2, "x": 1}}
    )
    structlog.get_logger("ours").debug("not at this level")
    ours, theirs = (json.loads(line) for line in stderr.getvalue().splitlines())
    assert (ours["event"], ours["endpoint"], ours["incident"], ours["stage"]) == ("alarm_forwarded", "bikes", "i", "gate")
    assert (theirs["event"], theirs["workflow_id"], theirs["attempt"], theirs["level"]) == ("slow query", "w", 2, "warning")
    assert "temporal_workflow" not in theirs


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_on_a_terminal_lines_are_coloured_unless_no_color_is_set(
    logs: Callable[[bool], io.StringIO], monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    stderr = logs(True)
    structlog.get_logger("ours").info("hello")
    assert ("\x1b[" in stderr.getvalue()) is coloured


def test_an_exception_is_logged_with_its_traceback(logs: Callable[[bool], io.StringIO]) -> None:
    stderr = logs(False)
    try:
        int("boom")
    except ValueError:
        structlog.get_logger("ours").exception("failed")
    assert "boom" in json.loads(stderr.getvalue())["exception"]
