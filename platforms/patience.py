"""How an adapter that waits for minutes says that it still lives: it calls `tick` between two looks.

Whoever runs the step decides what that does: an activity sends a heartbeat, a command line nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


def _nothing() -> None:
    return


_tick: ContextVar[Callable[[], None]] = ContextVar("homeostat_tick", default=_nothing)


def tick() -> None:
    """Call between two looks at something that takes long."""
    _tick.get()()


@contextmanager
def ticking(heard: Callable[[], None]) -> Iterator[None]:
    """Within it, every `tick` of this thread calls `heard`."""
    token = _tick.set(heard)
    try:
        yield
    finally:
        _tick.reset(token)
