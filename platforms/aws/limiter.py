"""How fast one account's APIs are called: shared by all clients of a process, slower for an API that answers 'too fast'."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

_SLOWEST: Final = 0.1
"""Calls a second, however often an API throttles."""
_RECOVERY: Final = 1.1
"""Each call that passes makes the next ones so much faster again, up to what is configured."""
_DATA_PLANES: Final = {"s3": 100.0, "sagemaker-featurestore-runtime": 20.0}
"""Services that take so many times more calls than those that make and describe things: S3 takes 3,500 writes and 5,500 reads a
second of one prefix (docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html)."""


@dataclass
class _Api:
    """One operation of one service."""

    rate: float
    most: float
    turn: float = 0.0


class Limiter:
    """Calls of one operation are spread over time, so that a fleet does not throttle itself; safe to share between threads."""

    def __init__(
        self, most: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._most, self._clock, self._sleep = most, clock, sleep
        self._apis: dict[tuple[str, str], _Api] = {}
        self._lock = threading.Lock()

    def wait(self, service: str, operation: str) -> None:
        """Until it is this call's turn."""
        with self._lock:
            api, now = self._api(service, operation), self._clock()
            turn = max(now, api.turn)
            api.turn = turn + 1 / api.rate
        self._sleep(turn - now)

    def passed(self, service: str, operation: str) -> None:
        with self._lock:
            api = self._api(service, operation)
            api.rate = min(api.most, api.rate * _RECOVERY)

    def throttled(self, service: str, operation: str) -> None:
        """Half as fast from now on, and the next call a whole pause later."""
        with self._lock:
            api = self._api(service, operation)
            api.rate = max(_SLOWEST, api.rate / 2)
            api.turn = max(api.turn, self._clock() + 1 / api.rate)

    def _api(self, service: str, operation: str) -> _Api:
        most = self._most * _DATA_PLANES.get(service, 1.0)
        return self._apis.setdefault((service, operation), _Api(most, most))


@cache
def limiter_for(profile: str, region: str | None, most: float) -> Limiter:  # noqa: ARG001 - what tells a process' accounts apart
    """The one limiter of this process for an account's APIs."""
    return Limiter(most)
