"""A small lifecycle, child and activity to trace. Apart from the tests, because the sandbox loads this module again."""

from datetime import timedelta

from temporalio import activity, workflow

from contracts.alarm import Alarm
from workflows.tracing import current_traceparent, within


@activity.defn
async def traced_step() -> str:
    return current_traceparent() or ""


@workflow.defn(name="TracedChild")
class TracedChild:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(traced_step, start_to_close_timeout=timedelta(seconds=10))


@workflow.defn(name="TracedLifecycle")
class TracedLifecycle:
    def __init__(self) -> None:
        self.alarms: list[Alarm] = []

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: bool(self.alarms))
        with within(self.alarms[0].trace):
            child = await workflow.start_child_workflow(TracedChild.run, id=f"{workflow.info().workflow_id}/child")
        return await child

    @workflow.signal
    def alarm(self, alarm: Alarm) -> None:
        self.alarms.append(alarm)
