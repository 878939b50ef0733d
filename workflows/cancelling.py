"""Whether the remediation was told to stop, also where a step hides it."""

import asyncio


def raise_if_cancelled() -> None:
    """A step that ends well although it was told to stop hides the cancel: it counts all the same."""
    if told_to_stop():
        raise asyncio.CancelledError


def told_to_stop() -> bool:
    """Also where a step failed of something else just when the cancel reached it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
