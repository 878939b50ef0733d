"""Traces and logs. One trace runs from the alarm at the bridge to the promotion; log lines carry the same keys everywhere."""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Final

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor
from structlog.typing import EventDict, Processor, WrappedLogger
from temporalio import activity, workflow
from temporalio.contrib.opentelemetry import OpenTelemetryPlugin, ReplaySafeTracerProvider, create_tracer_provider

from runtime.errors import Misconfigured
from runtime.settings import Settings

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_STOP_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Telemetry:
    """What a process hands to `connect`; empty where nobody asked for traces."""

    provider: ReplaySafeTracerProvider | None = None

    @property
    def plugins(self) -> tuple[OpenTelemetryPlugin, ...]:
        return (OpenTelemetryPlugin(add_temporal_spans=True),) if self.provider else ()

    def stop(self) -> None:
        """Hand over what is still held; a collector that doesn't answer delays the end by a few seconds, no more."""
        if self.provider:
            last = Thread(target=self.provider.shutdown, name="last-spans", daemon=True)
            last.start()
            last.join(_STOP_SECONDS)


def start(settings: Settings, *, service: str, processors: Sequence[SpanProcessor] | None = None) -> Telemetry:
    """Set up tracing for this process, once. `service` is its name in traces unless OTEL_SERVICE_NAME says otherwise.

    Raises:
        Misconfigured: the standard variables ask for what isn't built in.
    """
    chosen = _exporters(settings) if processors is None else processors
    if not chosen:
        return Telemetry()
    provider = create_tracer_provider(resource=_resource(service), shutdown_on_exit=False)
    for processor in chosen:
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return Telemetry(provider)


@contextmanager
def tracing(settings: Settings, *, service: str) -> Iterator[Telemetry]:
    """`start`, and `stop` at the end whatever happens."""
    telemetry = start(settings, service=service)
    try:
        yield telemetry
    finally:
        telemetry.stop()


def _exporters(settings: Settings) -> list[SpanProcessor]:
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return []
    chosen: list[SpanProcessor] = []
    if settings.trace_console:
        chosen.append(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
    if any(os.environ.get(name) for name in _ENDPOINTS):
        _check_protocol()
        chosen.append(BatchSpanProcessor(OTLPSpanExporter()))
    return chosen


def _check_protocol() -> None:
    for name in _PROTOCOLS:
        if os.environ.get(name, "http/protobuf") not in ("", "http/protobuf"):
            raise Misconfigured(f"{name} is {os.environ[name]!r}; traces are sent as 'http/protobuf' only (usually port 4318).")


def _resource(service: str) -> Resource:
    given = Resource.create()
    if str(given.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        return given.merge(Resource({SERVICE_NAME: f"homeostat-{service}"}))
    return given


def configure_logging(settings: Settings) -> None:
    """Log lines on stderr: JSON for machines, coloured for a terminal unless NO_COLOR is set. Libraries log the same way."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    foreign: list[Processor] = [
        *shared,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        _flatten_temporal,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=foreign, processors=_renderers()))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per request says nothing that our events don't
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False


def _renderers() -> list[Processor]:
    drop = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if sys.stderr.isatty():
        return [drop, structlog.dev.ConsoleRenderer(colors=not os.environ.get("NO_COLOR"))]
    return [drop, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = f"{span.trace_id:032x}"
    return event


def _flatten_temporal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Temporal's loggers add a whole description; who it was is enough."""
    for name in ("temporal_workflow", "temporal_activity"):
        details = event.pop(name, None)
        if isinstance(details, dict):
            event.update({key: details[key] for key in ("workflow_id", "activity_type", "attempt") if key in details})
    return event
