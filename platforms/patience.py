"""What an adapter may know of the step that it works for: how to say that it still lives, and who pays.

Whoever runs the step decides what a tick does: an activity sends a heartbeat, a command line nothing. Tags come with the step's
request, for the adapter whose port has no place for them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from contracts.training import Tags


def _nothing() -> None:
    return


_tick: ContextVar[Callable[[], None]] = ContextVar("homeostat_tick", default=_nothing)
_tags: ContextVar[Tags | None] = ContextVar("homeostat_tags", default=None)


def tick() -> None:
    """Call between two looks at something that takes long."""
    _tick.get()()


def working_for() -> Tags | None:
    """The tags of the incident, or of the bench's run, that this thread works for."""
    return _tags.get()


@contextmanager
def ticking(heard: Callable[[], None], tags: Tags | None = None) -> Iterator[None]:
    """Within it, every `tick` of this thread calls `heard`, and work is done for `tags`."""
    ticks, works = _tick.set(heard), _tags.set(tags)
    try:
        yield
    finally:
        _tick.reset(ticks)
        _tags.reset(works)
