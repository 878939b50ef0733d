"""`bench`: what the shadow bench has recorded of an endpoint, and a turn at once."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleDescription,
    ScheduleOverlapPolicy,
    WorkflowFailureError,
)
from temporalio.service import RPCError, RPCStatusCode

from console.call import Call
from console.exits import Missing, Refused, Unreachable
from console.inputs import endpoint_name
from console.screen import Answer, safe, table, utc
from contracts.ids import bench_id
from contracts.shadow import BenchReport, BenchState, BenchTurn

_SHOWN: Final = 8
_POLL_SECONDS: Final = 0.2
_REMEDY: Final = "Set `training.judging: shadow` for it in the fleet file and run `python starter.py apply FILE`."


async def bench(call: Call) -> Answer:
    endpoint = endpoint_name(call.given.endpoint)
    report = await _turn(call, endpoint) if call.given.now else None
    state = call.platform.bench.read(endpoint)
    if state is None:
        raise Missing(f"the shadow bench has no record of {endpoint!r}{f': {report.sentence}' if report else '.'}", _REMEDY)
    return _answer(state, report)


async def _turn(call: Call, endpoint: str) -> BenchReport:
    """Through the schedule, so that two runs never go side by side; one that goes already is waited for."""
    client = await call.client()
    try:
        async with asyncio.timeout(call.timeout.total_seconds()):
            return await _followed(client, endpoint)
    except TimeoutError:
        raise Unreachable(
            f"the run had not ended after {call.timeout.total_seconds():g} s; it goes on.",
            f"Look at `python starter.py bench {endpoint}` later, or at {bench_id(endpoint)} in the Temporal UI.",
        ) from None
    except WorkflowFailureError as error:
        raise Refused(f"the run failed: {error.cause}.", "The next run takes the same turn again.") from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise Missing(f"no shadow bench is scheduled for {endpoint!r}.", _REMEDY) from error
        raise


async def _followed(client: Client, endpoint: str) -> BenchReport:
    handle = client.get_schedule_handle(bench_id(endpoint))
    before = _asked(await handle.describe())
    await handle.trigger(overlap=ScheduleOverlapPolicy.SKIP)
    found = await handle.describe()
    while _asked(found) == before or (run := _newest(found)) is None:
        await asyncio.sleep(_POLL_SECONDS)
        found = await handle.describe()
    running = client.get_workflow_handle(run.workflow_id, run_id=run.first_execution_run_id, result_type=BenchReport)
    report: BenchReport = await running.result()
    return report


def _asked(found: ScheduleDescription) -> int:
    """Runs that the schedule began, or left out since one went on."""
    return found.info.num_actions + found.info.num_actions_skipped_overlap


def _newest(found: ScheduleDescription) -> ScheduleActionExecutionStartWorkflow | None:
    runs = [*(one.action for one in found.info.recent_actions[-1:]), *found.info.running_actions[-1:]]
    return next((one for one in reversed(runs) if isinstance(one, ScheduleActionExecutionStartWorkflow)), None)


def _answer(state: BenchState, report: BenchReport | None) -> Answer:
    newest = next((turn for turn in reversed(state.turns) if turn.losses), None)
    losses = newest.losses if newest else {}
    data = {
        "endpoint": state.endpoint,
        "reached": utc(state.reached),
        "blend": state.blend,
        "losses": losses,
        "recalibrating": state.recalibrating,
        "rows": sum(part.rows for part in state.parts),
        "fits": sum(fit.challenger is not None for fit in state.fits),
        "turns": [_turn_data(turn) for turn in state.turns],
        "run": None if report is None else _run_data(report),
    }
    return Answer(data, lambda console: _show(console, state, losses, report))


def _turn_data(turn: BenchTurn) -> dict[str, Any]:
    kept = turn.model_dump(mode="json", include={"blend", "losses", "verdict", "relative_gain", "t", "rows", "fit", "sentence"})
    alarm = turn.alarm
    recalibration = turn.recalibration.model_dump(mode="json") if turn.recalibration else None
    raised = {"id": alarm.id, "kind": alarm.kind.value, "raised": turn.raised} if alarm else None
    return {"as_of": utc(turn.as_of), **kept, "cost_usd": turn.cost_usd, "recalibration": recalibration, "alarm": raised}


def _run_data(report: BenchReport) -> dict[str, Any]:
    return {
        "turns": len(report.turns),
        "later": report.later,
        "raised": list(report.raised),
        "sentence": report.sentence,
    }


def _show(console: Console, state: BenchState, losses: dict[str, float], report: BenchReport | None) -> None:
    if report is not None:
        console.print(safe(f"ran {len(report.turns)} turns: {report.sentence}", "bold"), soft_wrap=True)
    rows, fits = sum(part.rows for part in state.parts), len(state.fits)
    reached = f"reached {utc(state.reached)} of the data's time" if state.reached else "no turn was taken yet"
    console.print(safe(f"{state.endpoint}: {reached}; {rows} rows scored, {fits} fits kept"), soft_wrap=True)
    if losses:
        ranked = sorted(losses.items(), key=lambda item: item[1])
        console.print(table(("blend", "loss", ""), [(n, f"{v:.4f}", "chosen" if n == state.blend else "") for n, v in ranked]))
    columns = ("turn", "verdict", "gain", "t", "rows", "alarm")
    console.print(table(columns, [_row(turn) for turn in state.turns[-_SHOWN:]]))
    if state.turns:
        console.print(safe(state.turns[-1].sentence), soft_wrap=True)


def _row(turn: BenchTurn) -> Sequence[object]:
    gain = f"{turn.relative_gain:+.1%}" if turn.relative_gain is not None else "-"
    t = f"{turn.t:.1f}" if turn.t is not None else "-"
    alarm = f"{turn.alarm.kind.value}{'' if turn.raised else ' (not taken yet)'}" if turn.alarm else "-"
    return utc(turn.as_of), turn.verdict or "not judged", gain, t, turn.rows, alarm
