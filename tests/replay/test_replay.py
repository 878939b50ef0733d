"""Recorded histories replay on today's code, and nobody changes what a workflow asks for without saying so.

Kept under `histories/`: one file per scenario and workflow, and one for each bug that only a history could show, named for it.
Record again with `python -m tests.replay.record`; `record.py` says when.
"""

import asyncio
import difflib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from runtime.client import DATA_CONVERTER
from runtime.sandbox import RUNNER
from runtime.workers import WORKFLOWS
from tests.replay.fingerprints import HISTORIES, INSTRUCTION, committed, fingerprint, scrubbed
from tests.replay.scenarios import SCENARIOS, play
from tests.servers import hasty_server

RECORDED = sorted(HISTORIES.glob("*.json"))
SECONDS = 55
MOST_BYTES = 2_000_000


async def _replay(history: str) -> None:
    """As a worker of production would. Raises: NondeterminismError."""
    replayer = Replayer(workflows=WORKFLOWS, data_converter=DATA_CONVERTER, workflow_runner=RUNNER)
    started = json.loads(history)["events"][0]["workflowExecutionStartedEventAttributes"]
    async with asyncio.timeout(SECONDS):
        await replayer.replay_workflow(WorkflowHistory.from_json(started["workflowId"], history))


@pytest.mark.parametrize("name", [path.stem for path in RECORDED])
async def test_a_recorded_history_replays_on_todays_code(name: str) -> None:
    await _replay(_read(name))


def _read(name: str) -> str:
    return (HISTORIES / f"{name}.json").read_text()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hasty_env() -> AsyncIterator[WorkflowEnvironment]:
    async with hasty_server() as env:
        yield env


PATIENT = [name for name, scenario in SCENARIOS.items() if not scenario.renews]
HASTY = [name for name, scenario in SCENARIOS.items() if scenario.renews]


@pytest.mark.parametrize("name", PATIENT)
async def test_a_scenario_asks_for_what_its_fingerprint_says(
    temporal_env: WorkflowEnvironment, task_queue: str, name: str
) -> None:
    await _check_scenario(name, temporal_env, task_queue)


@pytest.mark.parametrize("name", HASTY)
async def test_a_scenario_with_renewals_asks_for_what_its_fingerprint_says(
    hasty_env: WorkflowEnvironment, task_queue: str, name: str
) -> None:
    await _check_scenario(name, hasty_env, task_queue)


async def _check_scenario(name: str, env: WorkflowEnvironment, task_queue: str) -> None:
    async with asyncio.timeout(SECONDS):
        told = await play(SCENARIOS[name], env, task_queue)
    for run, history in told:
        check_fingerprint(f"{name}.{run}", fingerprint(history))


def check_fingerprint(name: str, found: list[str]) -> None:
    """Fails with the difference and with what to do."""
    wanted = committed().get(name, [])
    difference = "\n".join(difflib.unified_diff(wanted, found, "accepted", "found", lineterm="", n=2))
    assert found == wanted, INSTRUCTION.format(name=name, difference=difference)


def test_every_scenario_is_recorded_and_every_fingerprint_belongs_to_a_history() -> None:
    recorded = {path.stem for path in RECORDED}
    assert {name.split(".")[0] for name in recorded} >= SCENARIOS.keys()
    assert committed().keys() <= recorded
    assert sum(path.stat().st_size for path in RECORDED) < MOST_BYTES


def test_every_workflow_and_every_kind_of_command_is_among_the_histories() -> None:
    seen = {line.split(" ")[0] for lines in committed().values() for line in lines}
    assert {"activity", "child", "upsert", "timer", "signal", "continue", "complete"} <= seen
    started = {_events(path)[0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"] for path in RECORDED}
    assert started == {workflow.__name__ for workflow in WORKFLOWS}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_history_names_no_machine(path: Path) -> None:
    text = path.read_text()
    assert '"stackTrace"' not in text
    assert set(re.findall(r'"identity":"([^"]*)"', text)) <= {"1@recorded", "history-service", ""}
    assert str(Path.cwd()) not in text


REMEDIATION = "promotion-and-rollback.remediation"


def _events(path: Path) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(path.read_text())["events"]
    return events


def _activities(events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (e["activityTaskScheduledEventAttributes"] for e in events if "activityTaskScheduledEventAttributes" in e)


def _renamed_activity(events: list[dict[str, Any]]) -> None:
    next(a for a in _activities(events) if a["activityType"]["name"] == "judge_evidence")["activityType"]["name"] = "judge"


def _swapped_activities(events: list[dict[str, Any]]) -> None:
    first, second = list(_activities(events))[3:5]
    first["activityType"], second["activityType"] = second["activityType"], first["activityType"]


def _another_child(events: list[dict[str, Any]]) -> None:
    body = next(v for e in events for k, v in e.items() if k.startswith("startChildWorkflowExecutionInitiated"))
    body["workflowType"]["name"] = "Repair"


def _timer_instead_of_upsert(events: list[dict[str, Any]]) -> None:
    event = next(e for e in events if "upsertWorkflowSearchAttributesEventAttributes" in e)
    done = event.pop("upsertWorkflowSearchAttributesEventAttributes")["workflowTaskCompletedEventId"]
    event["eventType"] = "EVENT_TYPE_TIMER_STARTED"
    event["timerStartedEventAttributes"] = {
        "timerId": "1",
        "startToFireTimeout": "1s",
        "workflowTaskCompletedEventId": done,
    }


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (REMEDIATION, _renamed_activity),
        (REMEDIATION, _swapped_activities),
        (REMEDIATION, _timer_instead_of_upsert),
        ("promotion-and-rollback.lifecycle", _another_child),
    ],
)
async def test_a_history_that_the_code_would_not_make_is_found_by_replay_and_by_fingerprint(
    name: str, change: Callable[[list[dict[str, Any]]], None]
) -> None:
    events = _events(HISTORIES / f"{name}.json")
    change(events)
    changed = json.dumps({"events": events})
    with pytest.raises(NondeterminismError):
        await _replay(changed)
    with pytest.raises(AssertionError, match=r"(?s)workflow\.patched.*record anew deliberately"):
        check_fingerprint(name, fingerprint(changed))


def test_a_recorded_history_has_the_fingerprint_it_was_recorded_with() -> None:
    for path in RECORDED:
        text = path.read_text()
        assert fingerprint(scrubbed(text)) == fingerprint(text)


def test_a_nondeterministic_change_fails_no_open_incident() -> None:
    """Named among the failures, it would end every remediation at once, uncleaned; unnamed, they wait for the repair."""
    for workflow in WORKFLOWS:
        named = getattr(workflow, "__temporal_workflow_definition").failure_exception_types
        assert not any(issubclass(NondeterminismError, failure) for failure in named), workflow.__name__
