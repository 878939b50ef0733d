"""What a wait of 24 hours for a person costs: history events and billable actions, counted in real histories.

python -m bench.review_wait [--json]

Each story runs on the embedded server with its clocks turned forward; the workflows are those of production, the platform is
the tests' one in memory. Counted is the remediation's history from the moment at which it waits for a person to the moment at
which it doesn't any more, and its lifecycle's while that goes on. One mail channel is told.

An action, by Temporal Cloud's price list: a started workflow or child, a timer, a signal, an update, an activity and each of its
retries, an upsert of search attributes, a version marker. The looks at whether the evidence still holds (`review.recheck_every`)
are retries of one activity: no history, one action each; they are reckoned from the declared span, and shown apart.

    silent      nobody answers, and nobody is reminded
    approved    after 7 hours, before the reminder
    reminded    one reminder after 8 hours, approved after 23
    escalated   one reminder, one rung of the ladder after 12 hours, approved after 23
    expired     one reminder, nobody answers

`wait_events` and `wait_actions` are those of the silent story without its notice: what waiting itself costs. Of its events two
stand there while nothing happens, a timer and the activity that looks; the others are its beginning and its end.
"""

import argparse
import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from bench.printed import printed
from contracts.incident import Stage

HOURS = 24
RECHECK = timedelta(hours=1)
NOTICE = "notify"
_ACTIONS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
    EventType.EVENT_TYPE_TIMER_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    EventType.EVENT_TYPE_MARKER_RECORDED,
}
_UPSERT = EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES
_SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
_OF_THE_CLOCK = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
}
"""Only a server whose clocks are turned writes them."""
_A_TASK = 3
"""Events of a workflow task, which takes note that a notice was sent."""


@dataclass(frozen=True)
class Story:
    """After so many hours somebody approves; None: nobody does."""

    hours: float | None
    escalates: bool = False
    reminds: bool = True


STORIES = {
    "silent": Story(None, reminds=False),
    "approved": Story(7),
    "reminded": Story(23),
    "escalated": Story(23, escalates=True),
    "expired": Story(None),
}


async def counted(story: Story, env: Any) -> dict[str, float]:  # noqa: ANN401 - the tests' environment
    """Events and actions of one story's wait."""
    fakes, stories = import_module("tests.fakes"), import_module("tests.stories")
    world = fakes.World(challenger_quality=0.3)
    world.champion(quality=0.9)
    async with stories.running_loop(env, world, f"bench-{world.endpoint}", stories.a_policy(review=_review(story))) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        await _told(loop, 1)
        before = await _events(loop.lifecycle)
        await _play(story, loop, handle)
        await loop.closed()
        history = _waiting(await _events(handle))
        lifecycle = (await _events(loop.lifecycle))[len(before) :]
    return _figures(story, history, lifecycle)


async def _play(story: Story, loop: Any, handle: Any) -> None:  # noqa: ANN401 - the tests' handles
    passed = 0
    for hours, notices in ((9, 1 + story.reminds), (13, 1 + story.reminds + story.escalates)):
        if story.hours is None or story.hours > hours:
            await loop.env.fast_forward(handle, timedelta(hours=hours - passed))
            await _told(loop, notices)
            passed = hours
    if story.hours is None:
        await loop.env.fast_forward(handle, timedelta(hours=HOURS - passed))
        return
    digest = (await loop.incident_status(handle)).evidence
    decision = {"approve": True, "reviewer": "ada", "note": "fresher", "evidence": digest}
    await handle.execute_update("decide", decision)


def _review(story: Story) -> dict[str, Any]:
    rung = {"after": "12h", "tell": ["grace"], "may_decide": True}
    return {
        "people": {"ada": {}, "grace": {}},
        "reviewers": ["ada"],
        "unverified": "accept",
        "timeout": f"{HOURS}h",
        "remind_after": "8h" if story.reminds else f"{HOURS}h",
        "recheck_every": RECHECK,
        "escalate": [rung] if story.escalates else [],
        "reach": {"mail": {"url": "mailto://mail.example.com?to=team@example.com"}},
        "channels": ["mail"],
    }


async def _told(loop: Any, notices: int) -> None:  # noqa: ANN401 - as above
    async def enough() -> bool:
        return len(loop.world.notices) >= notices and len(loop.world.told) >= notices

    await import_module("tests.stories").until(enough, f"{notices} notices")


async def _events(handle: Any) -> list[HistoryEvent]:  # noqa: ANN401 - a handle of any workflow
    return [event async for event in handle.fetch_history_events() if event.event_type not in _OF_THE_CLOCK]


def _waiting(history: list[HistoryEvent]) -> list[HistoryEvent]:
    """From the upsert that says whom the incident waits for, to the event before the one that says that it doesn't."""
    upserts = [place for place, event in enumerate(history) if event.event_type == _UPSERT]
    start = next(place for place in upserts if b"person" in history[place].SerializeToString())
    return history[start : next(place for place in upserts if place > start)]


def _figures(story: Story, history: list[HistoryEvent], lifecycle: list[HistoryEvent]) -> dict[str, float]:
    of_notices = _of(history, NOTICE)
    actions = sum(event.event_type in _ACTIONS for event in history)
    told = sum(event.event_type == _SCHEDULED for event in of_notices)
    hours = HOURS if story.hours is None else story.hours
    return {
        "events": len(history),
        "actions": actions,
        "notice_events": len(of_notices) + _A_TASK * told,
        "notices": told,
        "looks": int(timedelta(hours=hours) / RECHECK),
        "lifecycle_actions": Counter(event.event_type in _ACTIONS for event in lifecycle)[True],
    }


def _of(history: list[HistoryEvent], activity: str) -> list[HistoryEvent]:
    """The events of one kind of activity."""
    scheduled = {
        event.event_id
        for event in history
        if event.event_type == _SCHEDULED and event.activity_task_scheduled_event_attributes.activity_type.name == activity
    }
    return [event for event in history if event.event_id in scheduled or _began_with(event) in scheduled]


def _began_with(event: HistoryEvent) -> int:
    kind = event.WhichOneof("attributes")
    return getattr(getattr(event, kind), "scheduled_event_id", 0) if kind and "activity" in kind else 0


async def measured() -> dict[str, float]:
    servers = import_module("tests.servers")
    async with servers.embedded_server() as env:
        found = {name: await counted(story, env) for name, story in STORIES.items()}
    silent = found["silent"]
    figures = {
        "wait_events": silent["events"] - silent["notice_events"],
        "wait_actions": silent["actions"] - silent["notices"],
        "wait_looks": silent["looks"],
    }
    return figures | {f"{story}_{name}": value for story, values in found.items() for name, value in values.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object on the last line")
    asked = parser.parse_args()
    printed("review_wait", asyncio.run(measured()), as_json=asked.json)


if __name__ == "__main__":
    main()
