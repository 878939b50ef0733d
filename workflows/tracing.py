"""Lets workflow code carry on somebody's trace. No clock, no chance, no I/O: safe to replay and inside the sandbox."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()


@contextmanager
def within(traceparent: str | None) -> Iterator[None]:
    """Start children and activities inside the trace of `traceparent` (W3C, as `Alarm.trace` has it).

    None, or text that is no traceparent, changes nothing: a bad header must not stop an incident.
    """
    remote = _PROPAGATOR.extract({"traceparent": traceparent or ""}, context.Context())
    if not trace.get_current_span(remote).get_span_context().is_valid:
        yield
        return
    token = context.attach(remote)
    try:
        yield
    finally:
        if context.get_current() is remote:  # a workflow evicted in here is finalized in some other context
            context.detach(token)


def current_traceparent() -> str | None:
    """The traceparent of the span that is current here, to hand on as a field; None outside a trace."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")
