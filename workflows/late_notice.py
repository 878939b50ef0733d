"""Goes on telling what a channel that was down has missed, so that nothing waits for it: not a review, not an incident's end."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from contracts.audit import AuditEntry, AuditEvent
    from contracts.delivery import Delivery, Missed, TellLate, untold
    from contracts.ids import step_key

from activities.audit import AuditActivities, NoticeActivities
from workflows import options, sentences


@workflow.defn(failure_exception_types=options.BUGS)
class LateNotice:
    @workflow.run
    async def run(self, late: TellLate) -> Delivery:
        """Tried until it is told or of no use any more; then the record says who was never told."""
        try:
            delivery = await self._told(late)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            delivery = _left(error, late)
        if delivery.missed:
            await self._record(late, delivery)
        return delivery

    async def _told(self, late: TellLate) -> Delivery:
        return await workflow.execute_activity_method(
            NoticeActivities.notify_late,
            late.notice,
            summary=f"tell {', '.join(late.notice.channels)}",
            **options.late_notice(late.until - workflow.now()),
        )

    async def _record(self, late: TellLate, delivery: Delivery) -> None:
        notice = late.notice
        entry = AuditEntry(
            key=step_key(workflow.info().workflow_id, "audit"),
            endpoint=notice.endpoint,
            incident=notice.incident,
            event=AuditEvent.UNTOLD,
            at=workflow.now(),
            facts={
                "notice": notice.key,
                "kind": notice.kind.value,
                "title": notice.title,
                "sentence": delivery.sentence,
                "untold": [one.model_dump(mode="json") for one in untold(notice, delivery, None)],
            },
        )
        await workflow.execute_activity_method(AuditActivities.record, entry, summary="record: untold", **options.RECORD)


def _left(error: ActivityError, late: TellLate) -> Delivery:
    """Who was still to be told at the last try; where even that is unknown, everybody."""
    cause = error.cause
    while cause is not None and not (isinstance(cause, ApplicationError) and cause.details):
        cause = cause.__cause__
    if isinstance(cause, ApplicationError) and cause.details:
        return Delivery.model_validate(cause.details[0])
    reason = sentences.cause(error)
    return Delivery(missed={name: Missed(reason=reason) for name in late.notice.channels})
