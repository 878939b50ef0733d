"""`status`: the fleet as a table, or one endpoint in full."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console
from rich.text import Text

from console.call import Call, translated
from console.endpoint_page import page
from console.exits import Halt, Missing, Refused, Unreachable
from console.inputs import endpoint_name
from console.screen import Answer, safe, table, utc
from console.temporal import Seen, each, lifecycle_status, remediation_status, running_lifecycles, unknown_endpoint
from contracts.fleet import Mode
from contracts.incident import IncidentSummary, LifecycleStatus, RemediationStatus, WaitingOn
from contracts.rollout import Deployment, Manifest

COLUMNS = ("endpoint", "stage", "champion", "incident", "waiting on", "since", "last outcome")


@dataclass(frozen=True)
class Row:
    """One endpoint of the fleet. `answered` is False where only Temporal's visibility store spoke, since no worker did."""

    endpoint: str
    stage: str
    waiting_on: str
    paused: bool = False
    champion: str | None = None
    incident: str | None = None
    since: str | None = None
    last: IncidentSummary | None = None
    answered: bool = True
    mode: Mode | None = None

    def as_data(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            "stage": self.stage,
            "paused": self.paused,
            "mode": self.mode.value if self.mode else None,
            "champion": self.champion,
            "incident": self.incident,
            "waiting_on": self.waiting_on,
            "since": self.since,
            "last_outcome": self.last.outcome.value if self.last else None,
            "last_as_of": utc(self.last.as_of) if self.last else None,
            "answered": self.answered,
        }

    def cells(self) -> tuple[object, ...]:
        marks = (" (shadow)" if self.mode is Mode.SHADOW else "") + ("" if self.answered else " ?")
        stage = self.stage + (" (paused)" if self.paused and self.stage != "paused" else "") + marks
        waits = safe(self.waiting_on, "yellow" if self.waiting_on == WaitingOn.PERSON.value else "")
        last = f"{self.last.outcome.value} {utc(self.last.as_of)[:10]}" if self.last else "-"
        champion = self.champion[:8] if self.champion else "-"
        return self.endpoint, stage, champion, self.incident or "-", waits, self.since or "-", last


async def status(call: Call) -> Answer:
    if call.given.endpoint is not None:
        return await _one(call, endpoint_name(call.given.endpoint))
    rows = await each((await running_lifecycles(call)).values(), partial(_row, call))
    return Answer({"endpoints": [row.as_data() for row in rows]}, partial(_show_fleet, rows))


async def _row(call: Call, seen: Seen) -> Row:
    manifest, _ = _manifest(call, seen.endpoint)
    champion = manifest.champion.digest if manifest else None
    try:
        answer = await lifecycle_status(call, seen.endpoint)
        work = await _open_work(call, answer)
    except (Unreachable, Refused, Missing):
        return Row(seen.endpoint, seen.stage, seen.waiting_on, champion=champion, incident=seen.incident or None, answered=False)
    return _answered(answer, work, champion)


def _answered(answer: LifecycleStatus, work: RemediationStatus | None, champion: str | None) -> Row:
    state = answer.state
    since = work.since if work else state.open.started if state.open else state.paused.at if state.paused else None
    stage = "rollback" if answer.rolling_back else work.stage.value if work else answer.stage
    return Row(
        endpoint=state.endpoint,
        stage=stage,
        waiting_on=(work.waiting_on if work else WaitingOn.NOTHING).value,
        paused=state.paused is not None,
        champion=champion,
        incident=state.open.incident if state.open else None,
        since=utc(since) if since else None,
        last=state.history[-1] if state.history else None,
        mode=state.policy.mode if state.policy else None,
    )


async def _open_work(call: Call, answer: LifecycleStatus) -> RemediationStatus | None:
    """The remediation of the open incident; None where none is open, or its first task has not run yet."""
    opened = answer.state.open
    if opened is None:
        return None
    try:
        return await remediation_status(call, answer.state.endpoint, opened.incident)
    except Missing:
        return None


def _show_fleet(rows: list[Row], console: Console) -> None:
    if not rows:
        console.print(Text("no endpoint runs yet; `python starter.py apply fleet.yaml` starts them"), soft_wrap=True)
        return
    console.print(table(COLUMNS, [row.cells() for row in rows]))
    if not all(row.answered for row in rows):
        remedy = "? no worker answered: what is shown may be old. Start one with `python worker.py`"
        console.print(safe(remedy, "yellow"), soft_wrap=True)


async def _one(call: Call, endpoint: str) -> Answer:
    try:
        answer = await lifecycle_status(call, endpoint)
    except Missing:
        raise await unknown_endpoint(call, endpoint) from None
    work = await _open_work(call, answer)
    manifest, manifest_error = _manifest(call, endpoint)
    deployment, serving_error = _serving(call, endpoint)
    data = {
        "endpoint": endpoint,
        "stage": answer.stage,
        "rolling_back": answer.rolling_back,
        "mode": answer.state.policy.mode.value if answer.state.policy else None,
        "champion": manifest.champion.digest if manifest else None,
        "state": answer.state.model_dump(mode="json", exclude={"seen"}),
        "remediation": work.model_dump(mode="json") if work else None,
        "manifest": manifest.model_dump(mode="json") if manifest else None,
        "manifest_error": manifest_error,
        "serving": deployment.model_dump(mode="json") if deployment else None,
        "serving_error": serving_error,
    }
    problems = tuple(problem for problem in (manifest_error, serving_error) if problem)
    return Answer(data, page(answer, work, manifest, deployment, problems))


def _manifest(call: Call, endpoint: str) -> tuple[Manifest | None, str | None]:
    """The manifest, or why it can't be had: the rest of the page is worth seeing without it."""
    try:
        with translated():
            return call.platform.manifests.read(endpoint), None
    except Halt as halt:
        return None, halt.message


def _serving(call: Call, endpoint: str) -> tuple[Deployment | None, str | None]:
    """What serves, or why that can't be told; before the first promotion nothing does, and that is no error."""
    try:
        with translated():
            return call.platform.serving.describe(endpoint), None
    except Missing:
        return None, None
    except Halt as halt:
        return None, halt.message
