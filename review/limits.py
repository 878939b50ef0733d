"""How often somebody may try: token buckets, bounded in number."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from time import monotonic
from typing import Final

_MOST: Final = 10_000


@dataclass
class Limit:
    """`burst` at once, then `per_minute`; who is refused hears in how many seconds to try again."""

    burst: int
    per_minute: float
    clock: Callable[[], float] = monotonic
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait(self, who: str) -> int:
        """0 where it may go on, which counts; else the seconds to wait."""
        now, rate = self.clock(), self.per_minute / 60
        left, then = self._buckets.pop(who, (float(self.burst), now))
        left = min(float(self.burst), left + (now - then) * rate)
        allowed = left >= 1
        self._buckets[who] = (left - 1 if allowed else left, now)
        while len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(1, ceil((1 - left) / rate))
