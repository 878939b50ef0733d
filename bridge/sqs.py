"""The bridge's queue: consumers that take from it until they are told to stop.

A message leaves the queue only after Temporal has what it says. While Temporal is away a consumer keeps what it has in hand and
takes nothing more, so that no receive is counted in vain and no message runs into the queue's own limit.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from bridge.counters import Counters
from bridge.forward import TemporalDown
from bridge.letters import Done, Later, Poison, judge
from bridge.rejected import RejectedLog
from bridge.taking import Taking
from platforms.errors import PlatformError
from platforms.letters import AlarmIntake, AlarmQueue, Letter

SOURCE: Final = "sqs"
_AT_ONCE: Final = 10
_PAUSES: Final = (1.0, 2.0, 5.0, 10.0, 20.0)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Limits:
    """How a bridge takes from its queue; the settings say more."""

    consumers: int = 2
    hold_seconds: int = 60
    wait_seconds: int = 10
    most_receives: int = 5


class Consumers:
    """All consumers of one bridge. Any number of bridges may share a queue."""

    def __init__(self, intake: AlarmIntake, taking: Taking, rejected: RejectedLog, limits: Limits) -> None:
        self._queue: AlarmQueue = intake.queue
        self._dead = intake.rejected
        self._taking = taking
        self._counters: Counters = taking.counters
        self._rejected = rejected
        self._limits = limits
        self._trouble = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what is in hand then is finished, or given back."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._limits.consumers):
                group.create_task(self._consume(stop))

    async def state(self) -> dict[str, Any]:
        """For the health page. A queue that can't be asked is a reason of its own."""
        done = {name: self._counters.of(name) for name in ("taken", "given_back", "rejected")}
        known = {"consumers": self._limits.consumers, "trouble": self._trouble, **done}
        try:
            found = await asyncio.to_thread(self._queue.state)
            dead = await asyncio.to_thread(self._dead.state) if self._dead else None
        except PlatformError as error:
            return {"status": "unreachable", **known, "trouble": str(error)[:300]}
        waiting = {"waiting": found.waiting, "in_hand": found.in_hand, "dead_letters": dead.waiting if dead else None}
        return {"status": "degraded" if self._trouble else "serving", **known, **waiting}

    async def _consume(self, stop: asyncio.Event) -> None:
        tries = 0
        while not stop.is_set():
            try:
                letters = await self._receive()
                await self._work(letters, stop)
            except Exception as error:
                if not isinstance(error, PlatformError):
                    log.exception("consumer_failed")  # a mistake of ours must not end the consumer in silence
                self._note("queue_failed", str(error) or type(error).__name__)
                await _pause(_PAUSES[min(tries, len(_PAUSES) - 1)], stop)
                tries += 1
                continue
            tries = 0

    async def _receive(self) -> Sequence[Letter]:
        asked = partial(
            self._queue.receive, most=_AT_ONCE, wait_seconds=self._limits.wait_seconds, hold_seconds=self._limits.hold_seconds
        )
        return await asyncio.to_thread(asked)

    async def _work(self, letters: Sequence[Letter], stop: asyncio.Event) -> None:
        """In the order in which they came; renewed in hand meanwhile, deleted together at the end."""
        in_hand, taken = list(letters), list[Letter]()
        keeping = asyncio.create_task(self._keep(in_hand))
        try:
            for letter in letters:
                if await self._settle(letter, stop):
                    taken.append(letter)
                in_hand.remove(letter)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            if taken:
                await asyncio.to_thread(self._queue.acknowledge, taken)
                self._counters.message("taken", len(taken))

    async def _settle(self, letter: Letter, stop: asyncio.Event) -> bool:
        """Whether the message has done its work. A rejected one is deleted too: the dead-letter queue has it."""
        verdict = await self._verdict(letter, stop)
        if isinstance(verdict, Done):
            return True
        if isinstance(verdict, Poison) and self._dead is not None:
            await asyncio.to_thread(self._dead.send, letter.body, {**letter.attributes, **_why(letter, verdict)})
            await self._rejected.append(verdict.kept)
            self._counters.message("rejected")
            log.warning("message_rejected", message=letter.id, reason=verdict.reason)
            return True
        pause = verdict.seconds if isinstance(verdict, Later) else self._limits.hold_seconds
        await asyncio.to_thread(self._queue.hold, letter, pause)
        self._counters.message("given_back")
        log.info("message_given_back", message=letter.id, reason=verdict.reason, seconds=pause)
        return False

    async def _verdict(self, letter: Letter, stop: asyncio.Event) -> Done | Later | Poison:
        """Asked again for as long as Temporal is away."""
        tries = 0
        while True:
            try:
                verdict = await judge(letter, self._taking, source=SOURCE, most_receives=self._limits.most_receives)
            except TemporalDown as error:
                self._note("temporal_down", f"Temporal takes nothing: {error}")
                if stop.is_set():
                    return Later(0, "the bridge stops while Temporal is away")
                await _pause(_PAUSES[min(tries, len(_PAUSES) - 1)], stop)
                tries += 1
                continue
            self._trouble = ""
            return verdict

    async def _keep(self, in_hand: list[Letter]) -> None:
        """No other consumer gets a message that is being worked on."""
        while True:
            await asyncio.sleep(self._limits.hold_seconds / 3)
            for letter in tuple(in_hand):
                try:
                    await asyncio.to_thread(self._queue.hold, letter, self._limits.hold_seconds)
                except PlatformError as error:
                    self._note("message_not_held", str(error))

    def _note(self, event: str, reason: str) -> None:
        self._trouble = reason[:300]
        log.warning(event, reason=reason[:1000])


def _why(letter: Letter, verdict: Poison) -> dict[str, str]:
    return {"reason": verdict.reason, "rejected_by": "homeostat bridge", "receives": str(letter.receives)}


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    """Ends early when the bridge is to stop."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
