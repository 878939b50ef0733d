"""`apply`: the running fleet follows the fleet file."""

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy

from console.call import Call
from console.diff import Change, changes
from console.exits import Exit, Missing, Refused
from console.schedules import BenchAction, BenchPlan, carry_out, planned
from console.screen import Answer, safe
from console.temporal import LIFECYCLE, each, lifecycle_status, running_lifecycles, update
from contracts.fleet import EndpointPolicy
from contracts.ids import lifecycle_id
from contracts.incident import Accepted, LifecycleState
from runtime.fleet_file import load
from runtime.search_attributes import ENDPOINT, STAGE, TEAM, WAITING_ON
from runtime.settings import MAIN_QUEUE


class Action(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    FAILED = "failed"


_STYLE: Final = {Action.CREATE: "green", Action.CHANGE: "yellow", Action.UNCHANGED: "dim", Action.FAILED: "red"}


_SHADE: Final = {
    BenchAction.CREATE: "green",
    BenchAction.CHANGE: "yellow",
    BenchAction.UNCHANGED: "dim",
    BenchAction.REMOVE: "yellow",
}


@dataclass(frozen=True)
class Plan:
    """What one endpoint needs."""

    endpoint: str
    policy: EndpointPolicy
    action: Action
    changes: tuple[Change, ...] = ()
    message: str = ""

    def as_data(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            "action": self.action.value,
            "changes": [change.as_data() for change in self.changes],
            "message": self.message,
        }


async def apply(call: Call) -> Answer:
    fleet = load(Path(call.given.file))
    plans = await each(fleet.endpoints.items(), partial(_plan, call))
    if not call.given.dry_run:
        plans = await each(plans, partial(_carry_out, call))
    benches = await _benches(call, fleet.endpoints, plans)
    orphans = [name for name in await running_lifecycles(call) if name not in fleet.endpoints]
    return _answer(plans, benches, orphans, dry=call.given.dry_run)


async def _benches(call: Call, policies: dict[str, EndpointPolicy], plans: list[Plan]) -> list[BenchPlan]:
    """An endpoint whose lifecycle refused its policy keeps the schedule that it had."""
    failed = {plan.endpoint for plan in plans if plan.action is Action.FAILED}
    benches = [bench for bench in await planned(call, policies) if bench.endpoint not in failed]
    if not call.given.dry_run:
        await each(benches, partial(carry_out, call))
    return benches


async def _plan(call: Call, item: tuple[str, EndpointPolicy]) -> Plan:
    endpoint, policy = item
    try:
        present = (await lifecycle_status(call, endpoint)).state.policy
    except Missing:
        return Plan(endpoint, policy, Action.CREATE)
    except Refused as refused:
        return Plan(endpoint, policy, Action.FAILED, message=refused.message)
    if present is None:
        return Plan(endpoint, policy, Action.CREATE)
    found = changes(present, policy)
    return Plan(endpoint, policy, Action.CHANGE if found else Action.UNCHANGED, found)


async def _carry_out(call: Call, plan: Plan) -> Plan:
    if plan.action not in (Action.CREATE, Action.CHANGE):
        return plan
    try:
        await _start(call, plan)
        accepted = await update(call, lifecycle_id(plan.endpoint), "configure", plan.policy, Accepted)
    except (Refused, Missing) as refused:
        return replace(plan, action=Action.FAILED, message=refused.message)
    return replace(plan, message=accepted.message)


async def _start(call: Call, plan: Plan) -> None:
    """A second start of a running lifecycle does nothing."""
    attributes = [
        SearchAttributePair(ENDPOINT, plan.endpoint),
        SearchAttributePair(TEAM, plan.policy.team),
        SearchAttributePair(STAGE, "idle"),
        SearchAttributePair(WAITING_ON, "nothing"),
    ]
    client = await call.client()
    await client.start_workflow(
        LIFECYCLE,
        LifecycleState(endpoint=plan.endpoint),
        id=lifecycle_id(plan.endpoint),
        task_queue=MAIN_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=TypedSearchAttributes(attributes),
        static_summary=f"looks after endpoint {plan.endpoint} of team {plan.policy.team}"[:200],
        rpc_timeout=call.timeout,
    )


def _answer(plans: list[Plan], benches: list[BenchPlan], orphans: list[str], *, dry: bool) -> Answer:
    counts = {action.value: sum(plan.action == action for plan in plans) for action in Action}
    data = {
        "dry_run": dry,
        "endpoints": [plan.as_data() for plan in plans],
        "benches": [bench.as_data() for bench in benches],
        "orphaned": orphans,
        "counts": {**counts, "orphaned": len(orphans)},
    }

    def show(console: Console) -> None:
        for plan in plans:
            _show_plan(console, plan)
        for bench in benches:
            console.print(safe(f"{bench.action.value:<10} {bench.endpoint}: schedule of its shadow bench", _SHADE[bench.action]))
        for name in orphans:
            console.print(safe(f"orphaned   {name}: it runs, but the file doesn't name it; left alone", "yellow"), soft_wrap=True)
        said = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing"
        console.print(safe(f"{'would be: ' if dry else ''}{said}" + (f", {len(orphans)} orphaned" if orphans else "")))

    return Answer(data, show, Exit.REFUSED if counts[Action.FAILED] else Exit.DONE)


def _show_plan(console: Console, plan: Plan) -> None:
    tail = f": {plan.message}" if plan.message else ""
    console.print(safe(f"{plan.action.value:<10} {plan.endpoint}{tail}", _STYLE[plan.action]), soft_wrap=True)
    for change in plan.changes:
        old, new = json.dumps(change.old, ensure_ascii=False), json.dumps(change.new, ensure_ascii=False)
        console.print(safe(f"             {change.path}: {old} -> {new}"), soft_wrap=True)
