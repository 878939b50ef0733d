"""Tell people through all channels of a notice at the same time: one that hangs keeps no other waiting."""

from concurrent.futures import Future, ThreadPoolExecutor, wait

from activities.failures import FINAL
from contracts.delivery import Delivery, Missed
from contracts.review import Notice
from platforms.errors import PlatformError
from platforms.ports import Notifier

SECONDS = 15.0
"""For all channels of one notice together; below the step's own time-out."""
_LATE = Missed(reason=f"no answer within {SECONDS:g} s")


def tell(notifier: Notifier, notice: Notice) -> Delivery:
    """What each channel has taken by now. Only a bug raises."""
    if not notice.channels:
        return Delivery()
    pool = ThreadPoolExecutor(len(notice.channels), thread_name_prefix="channel")
    try:
        begun = {name: pool.submit(notifier.tell, notice, name) for name in notice.channels}
        wait(begun.values(), timeout=SECONDS)
        found = {name: _missed(future) for name, future in begun.items()}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    missed = {name: why for name, why in found.items() if why is not None}
    return Delivery(told=tuple(name for name in found if name not in missed), missed=missed)


def _missed(sending: Future[bool]) -> Missed | None:
    """None where the channel has it; one that is still under way marks itself when it has."""
    if not sending.done():
        return _LATE
    try:
        sending.result()
    except PlatformError as error:
        return Missed(reason=str(error)[:500], final=isinstance(error, FINAL))
    return None
