"""What this bridge has done since it started, as Prometheus reads it."""

from collections import Counter
from threading import Lock
from typing import Final

from bridge.answers import Result

_HELP: Final = {
    "alarms": "Alarms by way and by what became of them",
    "queue": "Messages of the queue by what became of them",
}


class Counters:
    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()

    def alarm(self, source: str, result: Result) -> None:
        self._add("alarms", f'source="{source}",result="{result.value}"')

    def message(self, result: str, by: int = 1) -> None:
        self._add("queue", f'result="{result}"', by)

    def of(self, result: str) -> int:
        """Messages with this end."""
        return self._counts["queue", f'result="{result}"']

    def text(self) -> str:
        """Prometheus's text format."""
        with self._lock:
            counts = sorted(self._counts.items())
        lines = []
        for family, said in _HELP.items():
            name = f"homeostat_bridge_{family}_total"
            lines += [f"# HELP {name} {said}.", f"# TYPE {name} counter"]
            lines += [f"{name}{{{labels}}} {count}" for (of, labels), count in counts if of == family]
        return "\n".join(lines) + "\n"

    def _add(self, family: str, labels: str, by: int = 1) -> None:
        with self._lock:
            self._counts[family, labels] += by
