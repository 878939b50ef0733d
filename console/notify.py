"""`notify --test`: one message through one channel, so that people see before the first alarm that it arrives."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from console.call import Call
from console.exits import Missing
from console.screen import Answer, safe
from contracts.fleet import Fleet
from contracts.notices import Channel, NoticeKind
from contracts.review import Notice
from policies.channel_address import shown
from runtime.fleet_file import load

_WORDS: Final = "If you can read this, the channel works. Nothing has happened and nothing is to be done."


async def notify(call: Call) -> Answer:
    """Raises: Missing (no such channel), Usage and Unreachable (by `translated`: what is wrong with it)."""
    name = call.given.test
    channel = _channel(load(Path(call.given.fleet)), name)
    now = datetime.now(UTC)
    notice = Notice(
        key=f"test/{name}/{now.isoformat()}",
        kind=NoticeKind.TEST,
        endpoint="test",
        incident="",
        title=f"homeostat: a test of the channel {name}",
        sentence=_WORDS,
        channels={name: channel},
    )
    call.platform.notifier.tell(notice, name)
    data = {"channel": name, "address": shown(channel.url), "told": True}

    def show(console: Console) -> None:
        console.print(safe(f"{shown(channel.url)} took the test message; see whether it arrived", "green"), soft_wrap=True)

    return Answer(data, show)


def _channel(fleet: Fleet, name: str) -> Channel:
    reach = dict(fleet.channels)
    for policy in fleet.endpoints.values():
        reach |= policy.review.reach
    if name not in reach:
        known = ", ".join(reach) or "none; add it under `channels`, at the top of the file"
        raise Missing(f"the fleet file has no channel {name!r}", f"Known: {known}")
    return reach[name]
