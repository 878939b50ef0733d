"""What an instance counts about its calls, for its status file, for the bake and for Prometheus."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from platforms.local.serving_state import Histogram, InstanceState

LATENCY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds in seconds; what took longer falls into one more bucket."""
_OUR_FAULT = 500
_THEIR_FAULT = 400


@dataclass
class Tally:
    """Counters since the instance began, and per model since they were last taken."""

    requests: int = 0
    rows: int = 0
    rejected: int = 0
    errors: int = 0
    uncaptured: int = 0
    total_seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    _fresh: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, *, status: int, digest: str, rows: int, seconds: float) -> None:
        """Count one call that was answered with `status` by the model `digest`."""
        failed = status >= _OUR_FAULT
        self.requests += 1
        self.rows += rows
        self.errors += failed
        self.rejected += _THEIR_FAULT <= status < _OUR_FAULT
        self.total_seconds += seconds
        self.buckets[bisect_left(LATENCY_BOUNDS, seconds)] += 1
        requests, errors = self._fresh.get(digest, (0, 0))
        self._fresh[digest] = (requests + 1, errors + failed)

    def take_fresh(self) -> dict[str, tuple[int, int]]:
        """Calls and failures per model since this was last asked."""
        fresh, self._fresh = self._fresh, {}
        return fresh

    def histogram(self) -> Histogram:
        return Histogram(counts=tuple(self.buckets), total_seconds=self.total_seconds)


def prometheus(endpoint: str, instances: Sequence[InstanceState]) -> str:
    """The counters of all instances as Prometheus text; each series says of which instance it is."""
    lines: list[str] = []
    for name, kind, about, value in (
        ("requests_total", "counter", "Answered predict calls.", "requests"),
        ("rows_total", "counter", "Scored rows.", "rows"),
        ("rejected_total", "counter", "Calls refused because of what was sent (4xx).", "rejected"),
        ("errors_total", "counter", "Calls that failed on our side (5xx).", "errors"),
        ("uncaptured_total", "counter", "Answers that could not be captured.", "uncaptured"),
        ("ready", "gauge", "1 where the instance accepts calls.", "ready"),
    ):
        lines += _head(name, kind, about)
        lines += [f"homeostat_{name}{{{_labels(endpoint, i)}}} {int(getattr(i, value))}" for i in instances]
    lines += _head("model_info", "gauge", "1 for the model in service.")
    lines += [f'homeostat_model_info{{{_labels(endpoint, i)},digest="{i.digest or ""}"}} 1' for i in instances]
    lines += _head("request_seconds", "histogram", "Seconds from a call's arrival to its answer.")
    for instance in instances:
        lines += _histogram(_labels(endpoint, instance), instance.latency)
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, about: str) -> list[str]:
    return [f"# HELP homeostat_{name} {about}", f"# TYPE homeostat_{name} {kind}"]


def _labels(endpoint: str, instance: InstanceState) -> str:
    return f'endpoint="{endpoint}",instance="{instance.pid}"'


def _histogram(labels: str, latency: Histogram) -> list[str]:
    lines: list[str] = []
    seen = 0
    for bound, count in zip((*map(str, LATENCY_BOUNDS), "+Inf"), latency.counts, strict=False):
        seen += count
        lines.append(f'homeostat_request_seconds_bucket{{{labels},le="{bound}"}} {seen}')
    lines.append(f"homeostat_request_seconds_sum{{{labels}}} {latency.total_seconds:.6f}")
    lines.append(f"homeostat_request_seconds_count{{{labels}}} {seen}")
    return lines
