"""Data points as CloudWatch keeps them: by namespace, name and the exact set of dimensions."""

import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

Name = tuple[str, str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Point:
    at: datetime
    value: float
    count: float = 1.0


class Metrics:
    """Of the one account that this process simulates."""

    def __init__(self) -> None:
        self._points: dict[Name, list[Point]] = defaultdict(list)
        self._lock = threading.Lock()

    def put(
        self, namespace: str, name: str, dimensions: Mapping[str, str], value: float, at: datetime, *, count: float = 1.0
    ) -> None:
        with self._lock:
            self._points[namespace, name, frozenset(dimensions.items())].append(Point(at, value, count))

    def points(self, namespace: str, name: str, dimensions: Mapping[str, str], start: datetime, end: datetime) -> list[Point]:
        """From `start` up to, not with, `end`."""
        with self._lock:
            found = list(self._points.get((namespace, name, frozenset(dimensions.items())), ()))
        return [point for point in found if start <= point.at < end]

    def series(
        self, namespace: str, name: str, dimensions: Mapping[str, str], start: datetime, end: datetime, *, period: int, stat: str
    ) -> list[tuple[datetime, float]]:
        """One value for each period that has data, by the period's start, the oldest first.

        Periods begin at multiples of their length since 1970. Source: AmazonCloudWatch APIReference GetMetricData, "StartTime".
        """
        first = _floor(start, period)
        groups: dict[datetime, list[Point]] = defaultdict(list)
        for point in self.points(namespace, name, dimensions, first, end):
            groups[_floor(point.at, period)].append(point)
        return [(at, statistic(stat, group)) for at, group in sorted(groups.items())]

    def names(self) -> list[Name]:
        with self._lock:
            return sorted(self._points, key=str)


def statistic(stat: str, points: list[Point]) -> float:
    """Raises: ValueError (an unknown statistic)."""
    values = np.repeat([p.value for p in points], [max(1, int(p.count)) for p in points])
    known = {"Sum": values.sum, "Average": values.mean, "Minimum": values.min, "Maximum": values.max}
    if stat in known:
        return float(known[stat]())
    if stat == "SampleCount":
        return float(sum(p.count for p in points))
    if stat.startswith("p") and stat[1:].replace(".", "").isdigit():
        return float(np.percentile(values, float(stat[1:])))
    raise ValueError(f"no statistic {stat!r}")


def _floor(moment: datetime, period: int) -> datetime:
    since = moment.timestamp() // period * period
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=since)


METRICS = Metrics()
"""One world for a process, one store for the world."""
