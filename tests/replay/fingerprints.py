"""What a workflow asked for, in order, one line each: the shape of its code as its history shows it.

Ids, times and payloads are left out, since they may change freely; types, order, timers and what is searched for may not.
"""

import base64
import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
HISTORIES = FOLDER / "histories"
FINGERPRINTS = FOLDER / "fingerprints.json"

INSTRUCTION = """The commands of {name} have changed:
{difference}
Workflows that run now would meet this when they replay. Either guard the change with `workflow.patched("...")`, and then
accept the new fingerprint with `python -m tests.replay.record --fingerprints`, which keeps the recorded histories; or, where
nothing of the old shape can be running any more, record anew deliberately with `python -m tests.replay.record`."""

_IDENTITY = re.compile(r"^\d+@.+$")


def fingerprint(history: str) -> list[str]:
    """The commands of a history in JSON."""
    lines = (_line(event) for event in json.loads(history)["events"])
    return [line for line in lines if line]


def _line(event: dict[str, Any]) -> str | None:
    kind = event["eventType"].removeprefix("EVENT_TYPE_")
    body: dict[str, Any] = next((v for k, v in event.items() if k.endswith("EventAttributes")), {})
    match kind:
        case "ACTIVITY_TASK_SCHEDULED":
            return f"activity {body['activityType']['name']}"
        case "START_CHILD_WORKFLOW_EXECUTION_INITIATED":
            return f"child {body['workflowType']['name']}"
        case "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES":
            return f"upsert {_searched(body)}"
        case "MARKER_RECORDED":
            return f"marker {_marker(body)}"
        case _:
            return _PLAIN.get(kind)


_PLAIN = {
    "TIMER_STARTED": "timer",
    "TIMER_CANCELED": "timer cancelled",
    "ACTIVITY_TASK_CANCEL_REQUESTED": "cancel activity",
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED": "signal another workflow",
    "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED": "cancel another workflow",
    "WORKFLOW_EXECUTION_UPDATE_ACCEPTED": "update accepted",
    "WORKFLOW_EXECUTION_CONTINUED_AS_NEW": "continue as new",
    "WORKFLOW_EXECUTION_COMPLETED": "complete",
    "WORKFLOW_EXECUTION_FAILED": "fail",
    "WORKFLOW_EXECUTION_CANCELED": "end as cancelled",
}


def _marker(body: dict[str, Any]) -> str:
    return str(body.get("markerName", ""))


def _searched(body: dict[str, Any]) -> str:
    """Names with values, as they are searched for; what the SDK adds for its own use is left out."""
    fields = body.get("searchAttributes", {}).get("indexedFields", {})
    ours = {name: json.loads(base64.b64decode(payload["data"])) for name, payload in fields.items()}
    return " ".join(f"{name}={value}" for name, value in sorted(ours.items()) if not name.startswith("Temporal"))


def committed() -> dict[str, list[str]]:
    content: dict[str, list[str]] = json.loads(FINGERPRINTS.read_text())
    return content


def write_fingerprints(fingerprints: dict[str, list[str]]) -> None:
    FINGERPRINTS.write_text(json.dumps(fingerprints, indent=1, sort_keys=True) + "\n")


def scrubbed(history: str) -> str:
    """Small, and without the machine it was recorded on. One event a line, so that a difference can be read.

    What commands carry is left out: a replay compares types and ids, and makes the inputs itself.
    """
    events = [json.dumps(_scrub(_without_input(event)), separators=(",", ":")) for event in json.loads(history)["events"]]
    return '{"events":[\n' + ",\n".join(events) + "\n]}\n"


def _without_input(event: dict[str, Any]) -> dict[str, Any]:
    commands = ("activityTaskScheduledEventAttributes", "startChildWorkflowExecutionInitiatedEventAttributes")
    return {name: _input_left_out(value) if name in commands else value for name, value in event.items()}


def _input_left_out(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("input", "header")}


def _scrub(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _scrub(inner) for name, inner in value.items() if name != "stackTrace"}
    if isinstance(value, list):
        return [_scrub(inner) for inner in value]
    return "1@recorded" if isinstance(value, str) and _IDENTITY.match(value) else value
