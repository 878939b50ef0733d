"""One notice, told through its channels: at once where they answer, by a workflow of its own where one doesn't."""

from temporalio import workflow
from temporalio.workflow import ChildWorkflowHandle, ParentClosePolicy

from activities.audit import NoticeActivities
from contracts.delivery import Delivery, TellLate
from contracts.ids import late_notice_id
from contracts.review import Notice
from policies.addressing import keep_trying_until
from workflows import options
from workflows.late_notice import LateNotice

Late = ChildWorkflowHandle[LateNotice, Delivery]


async def told(notice: Notice) -> Delivery:
    """Raises: ActivityError (the notice can't be kept at all)."""
    return await workflow.execute_activity_method(
        NoticeActivities.notify, notice, summary=f"tell people: {notice.kind.value}", **options.NOTICE
    )


async def later(notice: Notice, delivery: Delivery) -> tuple[TellLate, Late] | None:
    """Hand what a channel has missed to a workflow that outlives this one; None where nobody is left to be told."""
    if not delivery.waiting:
        return None
    left = {name: notice.channels[name] for name in delivery.waiting}
    late = TellLate(notice=notice.model_copy(update={"channels": left}), until=keep_trying_until(notice, workflow.now()))
    handle = await workflow.start_child_workflow(
        LateNotice.run,
        late,
        id=late_notice_id(notice.key),
        parent_close_policy=ParentClosePolicy.ABANDON,
        static_summary=delivery.sentence[:200],
    )
    return late, handle
