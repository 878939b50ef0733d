"""The schedules of the shadow benches follow the fleet file: one for each endpoint that is judged in shadow, none for others."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from console.call import Call
from console.temporal import each
from contracts.bench import Judging
from contracts.fleet import EndpointPolicy
from contracts.ids import bench_id
from contracts.shadow import BenchRequest
from policies.bench_turns import schedule_offset
from runtime.search_attributes import ENDPOINT, STAGE, TEAM
from runtime.settings import MAIN_QUEUE

WORKFLOW: Final = "ShadowBench"
_CATCH_UP: Final = timedelta(days=1)
"""A run that a dead server missed is made up within this; turns are made up by the next run in any case."""


class BenchAction(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    REMOVE = "remove"


@dataclass(frozen=True)
class BenchPlan:
    """What one endpoint's schedule needs."""

    endpoint: str
    action: BenchAction
    policy: EndpointPolicy | None

    def as_data(self) -> dict[str, Any]:
        every = self.policy.training.bench.period.total_seconds() if self.policy else None
        return {"endpoint": self.endpoint, "action": self.action.value, "every_seconds": every}


async def planned(call: Call, policies: Mapping[str, EndpointPolicy]) -> list[BenchPlan]:
    """One for each schedule that is there or should be."""
    client = await call.client()
    wanted = {name: policy for name, policy in policies.items() if policy.training.judging is Judging.SHADOW}
    there = await _scheduled(client)
    plans = await each(sorted(wanted.items()), partial(_plan, client, there))
    gone = [BenchPlan(name, BenchAction.REMOVE, None) for name in sorted(there - wanted.keys())]
    return [*plans, *gone]


async def carry_out(call: Call, plan: BenchPlan) -> None:
    """Doing it twice is the same as once."""
    client = await call.client()
    handle = client.get_schedule_handle(bench_id(plan.endpoint))
    if plan.action is BenchAction.REMOVE:
        await _removed(client, plan.endpoint)
    elif plan.action is not BenchAction.UNCHANGED and plan.policy is not None:
        schedule = _schedule(plan.endpoint, plan.policy)
        try:
            await client.create_schedule(bench_id(plan.endpoint), schedule, trigger_immediately=True)
        except ScheduleAlreadyRunningError:
            await handle.update(partial(_updated, schedule))


async def _scheduled(client: Client) -> set[str]:
    prefix = bench_id("")
    listed = await client.list_schedules()
    return {one.id.removeprefix(prefix) async for one in listed if one.id.startswith(prefix)}


async def _plan(client: Client, there: set[str], item: tuple[str, EndpointPolicy]) -> BenchPlan:
    endpoint, policy = item
    if endpoint not in there and not await _exists(client, endpoint):
        return BenchPlan(endpoint, BenchAction.CREATE, policy)
    same = await _runs(client, endpoint, policy)
    return BenchPlan(endpoint, BenchAction.UNCHANGED if same else BenchAction.CHANGE, policy)


async def _exists(client: Client, endpoint: str) -> bool:
    """The list lags behind by moments."""
    try:
        await client.get_schedule_handle(bench_id(endpoint)).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def _runs(client: Client, endpoint: str, policy: EndpointPolicy) -> bool:
    """Whether the schedule starts what is wanted, when it is wanted."""
    schedule = (await client.get_schedule_handle(bench_id(endpoint)).describe()).schedule
    action, wanted = schedule.action, _schedule(endpoint, policy)
    if not isinstance(action, ScheduleActionStartWorkflow) or action.task_queue != MAIN_QUEUE:
        return False
    try:
        found = await client.data_converter.decode(list(action.args), [BenchRequest])
    except (RuntimeError, ValueError):
        return False
    return found == [BenchRequest(endpoint=endpoint, policy=policy)] and list(schedule.spec.intervals) == list(
        wanted.spec.intervals
    )


async def _removed(client: Client, endpoint: str) -> None:
    try:
        await client.get_schedule_handle(bench_id(endpoint)).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


def _updated(schedule: Schedule, found: ScheduleUpdateInput) -> ScheduleUpdate:
    """What an operator has paused stays paused."""
    schedule.state = found.description.schedule.state
    return ScheduleUpdate(schedule=schedule)


def _schedule(endpoint: str, policy: EndpointPolicy) -> Schedule:
    attributes = [
        SearchAttributePair(ENDPOINT, endpoint),
        SearchAttributePair(TEAM, policy.team),
        SearchAttributePair(STAGE, "turn"),
    ]
    return Schedule(
        action=ScheduleActionStartWorkflow(
            WORKFLOW,
            BenchRequest(endpoint=endpoint, policy=policy),
            id=bench_id(endpoint),
            task_queue=MAIN_QUEUE,
            typed_search_attributes=TypedSearchAttributes(attributes),
            static_summary=f"shadow bench of endpoint {endpoint} of team {policy.team}"[:200],
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=policy.training.bench.period, offset=schedule_offset(policy))]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
    )
