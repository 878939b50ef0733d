"""Who in this process waits for what, so that news can end a pause early. News is a hint: the next look comes anyway."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final


class WakeUps:
    """Names are idempotency keys of jobs, and endpoints."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()
        self._woken: set[str] = set()

    @contextmanager
    def waiting(self, name: str) -> Iterator[None]:
        """What comes meanwhile is kept until it is looked at."""
        with self._lock:
            self._waiting[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting[name] -= 1
                if self._waiting[name] <= 0:
                    del self._waiting[name]
                    self._woken.discard(name)

    def wake(self, name: str) -> bool:
        """Whether anybody here waits for it."""
        with self._lock:
            there = name in self._waiting
            if there:
                self._woken.add(name)
            return there

    def woken(self, name: str) -> bool:
        """Whether there was news since the last time that this was asked."""
        with self._lock:
            there = name in self._woken
            self._woken.discard(name)
            return there


WAKE_UPS: Final = WakeUps()
"""Of this process: an adapter's news and the steps that wait share nothing else."""
