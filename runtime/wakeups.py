"""SageMaker's events wake the steps that wait for them, where a queue brings them to the workers.

Any worker may get a message that another one waits for: it hands it on, and after a few hands it is let go. An event that is
lost costs no more than the pause until the next look, so nothing here is tried again.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog

from platforms.errors import PlatformError
from platforms.letters import AlarmQueue, Letter
from platforms.wakeups import WAKE_UPS, WakeUps
from runtime.settings import Settings
from runtime.wiring import wake_queue_from

_HANDS: Final = 8
"""So often a message is handed out before it is let go."""
_HAND_ON_SECONDS: Final = 1
"""So that not the same worker takes it again and again."""
_PAUSE_SECONDS: Final = 30.0
_KEY_TAG: Final = "homeostat:key"

log = structlog.get_logger(__name__)


@asynccontextmanager
async def listening(settings: Settings) -> AsyncIterator[None]:
    """Beside the workers of this process; without a queue, nothing. Raises: Misconfigured."""
    if not settings.sqs_wake_url:
        yield
        return
    queue, prefix = wake_queue_from(settings)
    stop = threading.Event()
    thread = asyncio.create_task(asyncio.to_thread(listen, queue, prefix, stop, wait_seconds=settings.sqs_wait_seconds))
    try:
        yield
    finally:
        stop.set()
        await thread


def listen(queue: AlarmQueue, prefix: str, stop: threading.Event, *, wait_seconds: int, wake_ups: WakeUps = WAKE_UPS) -> None:
    """Until `stop`. A queue that fails is left alone for a while."""
    while not stop.is_set():
        try:
            letters = queue.receive(most=10, wait_seconds=wait_seconds, hold_seconds=30)
            done = [letter for letter in letters if _heard(letter, prefix, wake_ups)]
            for letter in letters:
                if letter not in done:
                    queue.hold(letter, _HAND_ON_SECONDS)
            if done:
                queue.acknowledge(done)
        except PlatformError as error:
            log.warning("wake_ups_not_heard", reason=str(error)[:500])
            stop.wait(_PAUSE_SECONDS)


def _heard(letter: Letter, prefix: str, wake_ups: WakeUps) -> bool:
    """Whether the message has done its work, or never will."""
    woken = [name for name in _names(letter.body, prefix) if wake_ups.wake(name)]
    return bool(woken) or letter.receives >= _HANDS


def _names(body: str, prefix: str) -> Sequence[str]:
    """The key that a job was tagged with, and our name of an endpoint."""
    try:
        detail: Any = json.loads(body).get("detail", {})
        tags, endpoint = detail.get("Tags") or {}, detail.get("EndpointName") or ""
        names = [tags.get(_KEY_TAG), endpoint.removeprefix(prefix) if endpoint.startswith(prefix) else None]
    except (ValueError, AttributeError):
        return ()
    return [name for name in names if isinstance(name, str) and name]
