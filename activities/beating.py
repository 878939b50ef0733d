"""Heartbeats beside a step that blocks: a dead worker is noticed in a minute, a slow service is not taken for one."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import copy_context

from temporalio import activity

_MOST_SECONDS = 4.0


def beating() -> AbstractContextManager[None]:
    """A heartbeat every few seconds while the body runs; nothing for a step without a heartbeat time-out, or outside of one."""
    limit = activity.info().heartbeat_timeout if activity.in_activity() else None
    return nullcontext() if not limit else _beat(min(_MOST_SECONDS, limit.total_seconds() / 4))


def heartbeat() -> Callable[[], None]:
    """What a platform's tick does in the step that runs now."""
    return activity.heartbeat if activity.in_activity() else _nothing


def _nothing() -> None:
    return


@contextmanager
def _beat(seconds: float) -> Iterator[None]:
    done = threading.Event()

    def beat() -> None:
        while not done.wait(seconds):
            activity.heartbeat()

    beater = threading.Thread(target=copy_context().run, args=(beat,), name="heartbeat", daemon=True)
    beater.start()
    try:
        yield
    finally:
        done.set()
        beater.join()
