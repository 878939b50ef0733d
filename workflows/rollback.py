"""An operator's rollback: the newest former champion serves again, recorded and told."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from contracts.audit import AuditEntry, AuditEvent
    from contracts.ids import step_key
    from contracts.incident import RollbackReport, StartRollback
    from contracts.review import Notice
    from contracts.rollout import Manifest, RollBack
    from policies.addressing import addressed

from activities.audit import AuditActivities
from activities.promotion import PromotionActivities
from workflows import delivering, notices, options, sentences


@workflow.defn(failure_exception_types=options.BUGS)
class Rollback:
    @workflow.run
    async def run(self, start: StartRollback) -> RollbackReport:
        try:
            manifest = await self._go_back(start)
        except ActivityError as error:
            sentence = f"The rollback wanted by {start.by} failed: {sentences.cause(error)}"
            report = RollbackReport(endpoint=start.endpoint, done=False, sentence=sentence)
        else:
            digest = manifest.champion.digest
            sentence = f"{digest[:12]} serves again. Wanted by {start.by} (unverified): {start.reason}"
            report = RollbackReport(endpoint=start.endpoint, done=True, champion=digest, sentence=sentence)
        try:
            await self._record(start, report)
        except ActivityError as error:
            unrecorded = f"{report.sentence} It could not be recorded: {sentences.cause(error)}"
            await self._tell(start, report.model_copy(update={"done": False, "sentence": unrecorded}))
            raise
        await self._tell(start, report)
        return report

    async def _go_back(self, start: StartRollback) -> Manifest:
        request = RollBack(
            key=step_key(workflow.info().workflow_id, "rollback"),
            endpoint=start.endpoint,
            incident="",
            serving=start.policy.serving,
            reason=start.reason,
        )
        return await workflow.execute_activity_method(
            PromotionActivities.roll_back,
            request,
            summary=start.reason[:200],
            **options.urgent(start.policy.serving.shift.timeout),
        )

    async def _record(self, start: StartRollback, report: RollbackReport) -> None:
        entry = AuditEntry(
            key=step_key(workflow.info().workflow_id, "audit"),
            endpoint=start.endpoint,
            event=AuditEvent.ROLLED_BACK,
            at=workflow.now(),
            facts={"by": start.by, "identity": "unverified", "reason": start.reason, **report.model_dump(mode="json")},
        )
        await workflow.execute_activity_method(AuditActivities.record, entry, summary="record", **options.RECORD)

    async def _tell(self, start: StartRollback, report: RollbackReport) -> None:
        """A channel that is down delays nothing; the record is written already."""
        notice = addressed(_notice(start, report), start.policy.review)
        try:
            await delivering.later(notice, await delivering.told(notice))
        except ActivityError as error:
            workflow.logger.warning("notice_not_sent", extra={"endpoint": start.endpoint, "reason": sentences.cause(error)})


def _notice(start: StartRollback, report: RollbackReport) -> Notice:
    page = notices.page(
        key=step_key(workflow.info().workflow_id, "notice"),
        endpoint=start.endpoint,
        incident="",
        workflow_id=workflow.info().workflow_id,
        sentence=report.sentence,
        recipients=start.policy.review.reviewers,
    )
    return notices.as_outcome(page, f"{start.endpoint}: rolled back") if report.done else page
