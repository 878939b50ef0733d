"""The work on one incident: snapshot, train, evaluate, gate, review, promote, bake, watch, or an honest end before."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from contracts.audit import AuditEvent
    from contracts.evaluation import Judgement
    from contracts.incident import IncidentReport, Outcome, RemediationRequest, RemediationStatus, Stage, WaitingOn
    from contracts.review import Decision, Resolution, ReviewOutcome
    from contracts.rollout import Promotion
    from contracts.snapshot import Snapshot
    from policies import review as review_policy
    from policies.review import Route, Routing

from workflows import inbox, notices, options, sentences
from workflows.closing import Closing
from workflows.progress import Progress
from workflows.review_wait import ReviewWait
from workflows.snapshot_stage import SnapshotStage
from workflows.steps import Steps
from workflows.telling import Telling


def _raise_if_cancelled() -> None:
    """A step that ends well although it was told to stop hides the cancel: it counts all the same."""
    if _told_to_stop():
        raise asyncio.CancelledError


def _told_to_stop() -> bool:
    """Also where a step failed of something else just when the cancel reached it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@workflow.defn(failure_exception_types=options.BUGS)
class Remediation:
    @workflow.init
    def __init__(self, request: RemediationRequest) -> None:
        self._request = request
        self._policy = request.policy
        self._progress = Progress(request)
        self._review = ReviewWait(request.policy.review)
        self._steps = Steps(request)
        self._telling = Telling(request, self._steps, self._progress)
        self._closing = Closing(self._steps, self._progress, self._telling, self._review)
        self._snapshot = SnapshotStage(request, self._steps, self._progress)
        self._promoting = False

    @workflow.run
    async def run(self, request: RemediationRequest) -> IncidentReport:  # noqa: ARG002 - __init__ keeps it
        """Whatever happens in between, the incident is closed: cleaned up, recorded, told."""
        try:
            report = await self._stages()
        except (Exception, asyncio.CancelledError) as end:  # noqa: BLE001 - whichever way it ends, closing follows
            report = self._broken_off(end)
        closing = asyncio.ensure_future(self._closing.close(report, promoting=self._promoting))
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError:
                continue
            except Exception:  # noqa: BLE001 - raised again below, by result()
                break
        return closing.result()

    async def _stages(self) -> IncidentReport:
        snapshot = await self._snapshot.taken()
        if snapshot is None:
            return self._report(Outcome.SHORT_OF_DATA, self._progress.sentence)
        await self._train(snapshot)
        judgement = await self._judge(snapshot)
        if self._same_model() or not await self._wanted(judgement, snapshot):
            return self._held()
        promotion = await self._promote(snapshot, judgement)
        return await self._bake(promotion) or await self._watch(promotion) or self._promoted(promotion)

    async def _train(self, snapshot: Snapshot) -> None:
        self._progress.enter(Stage.TRAIN, "Training, or waiting for a training slot.", WaitingOn.TRAINING)
        judged, refit = await self._steps.train(snapshot)
        self._progress.learn(judged=judged, refit=refit)

    async def _judge(self, snapshot: Snapshot) -> Judgement:
        facts = self._progress.facts
        assert facts.judged is not None
        assert facts.refit is not None
        self._progress.enter(Stage.EVALUATE, "Champion and challenger score the same rows.")
        champion = await self._steps.champion()
        evidence = await self._steps.evaluate(snapshot, champion, facts.judged, facts.refit)
        self._progress.learn(champion=champion, evidence=evidence)
        self._progress.enter(Stage.GATE, "The gate compares them.")
        judgement = await self._steps.judge(snapshot, champion, evidence, facts.judged)
        self._progress.learn(judgement=judgement)
        return judgement

    def _same_model(self) -> bool:
        """The recipe on these rows gives the champion again: there is nothing to promote and nothing to ask."""
        facts = self._progress.facts
        same = facts.champion is not None and facts.refit is not None and facts.champion.model == facts.refit.model
        if same:
            self._progress.note("the challenger is the champion, byte for byte")
        return same

    async def _wanted(self, judgement: Judgement, snapshot: Snapshot) -> bool:
        """Whether the challenger is to be promoted, by the evidence or by a person."""
        routing = review_policy.route(
            verdict=judgement.verdict,
            review=self._policy.review,
            tokens=self._request.promotion_tokens,
            short_of_data=not snapshot.coverage.sufficient,
        )
        self._progress.note("; ".join(routing.reasons))
        if routing.route is Route.ASK:
            outcome = await self._ask(judgement, routing)
            self._progress.learn(review=outcome)
            return outcome.promote
        return routing.route is Route.PROMOTE

    async def _ask(self, judgement: Judgement, routing: Routing) -> ReviewOutcome:
        self._review.start(evidence=judgement.evidence)
        self._progress.learn(asked_because=routing.reasons)
        self._progress.enter(Stage.REVIEW, f"Waiting for a reviewer: {judgement.sentence}", WaitingOn.PERSON)
        notice = notices.review_notice(
            key=self._steps.key("review"),
            request=self._request,
            workflow_id=workflow.info().workflow_id,
            judgement=judgement,
            why=routing.reasons,
            deadline=self._review.deadline,
        )
        review = self._policy.review
        first = min(review.remind_after, review.timeout)
        self._telling.send(notice)
        if not await self._review.decided(first, "reminder") and first < review.timeout:
            self._telling.send(notices.reminder(notice))
            await self._review.decided(review.timeout - first, f"deadline, then: {review.default.value}")
        return self._review.outcome or self._review.expire(judgement.verdict)

    async def _promote(self, snapshot: Snapshot, judgement: Judgement) -> Promotion:
        """No record, no promotion."""
        facts = self._progress.facts
        assert facts.refit is not None
        self._progress.enter(Stage.PROMOTE, "Recording the decision, then putting the challenger into service.")
        await self._steps.record(AuditEvent.DECIDED, self._progress.record())
        self._promoting = True
        expected = facts.champion.model.digest if facts.champion else None
        promotion = await self._steps.promote(snapshot, facts.refit, judgement, expected)
        self._progress.learn(promotion=promotion)
        _raise_if_cancelled()
        return promotion

    async def _bake(self, promotion: Promotion) -> IncidentReport | None:
        self._progress.enter(Stage.BAKE, "In service; the first minutes are watched.", WaitingOn.CLOCK)
        try:
            report = await self._steps.bake(promotion)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return await self._roll_back(promotion, f"It could not be baked: {sentences.cause(error)}")
        _raise_if_cancelled()
        self._progress.note(report.sentence)
        return None if report.healthy else await self._roll_back(promotion, report.sentence)

    async def _watch(self, promotion: Promotion) -> IncidentReport | None:
        if promotion.former is None or self._policy.rollout.watch <= timedelta(0):
            return None
        self._progress.enter(Stage.WATCH, "In service; late labels are held against the former champion.", WaitingOn.LABELS)
        try:
            report = await self._steps.watch(promotion)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._progress.note(f"The watch ended without all labels: {sentences.cause(error)}")
            return None
        self._progress.note(report.sentence)
        return await self._roll_back(promotion, report.sentence) if report.worse else None

    async def _roll_back(self, promotion: Promotion, why: str) -> IncidentReport:
        """A rollback that fails, or that has nothing to go back to, pages at once."""
        if promotion.former is None:
            sentence = f"The first champion is in trouble and there is none to go back to; it still serves. {why}"
            self._telling.page(sentence)
            return self._report(Outcome.FAILED, sentence)
        self._progress.enter(Stage.ROLLBACK, f"Going back to the former champion: {why}")
        bad = promotion.manifest.champion.digest
        try:
            manifest = await self._steps.roll_back(bad, why)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            sentence = (
                f"The rollback of {bad[:12]} failed, and it still serves: {sentences.cause(error)}. It was wanted because: {why}"
            )
            self._telling.page(sentence)
            return self._report(Outcome.FAILED, sentence)
        self._progress.learn(rolled_back_to=manifest.champion.digest)
        return self._report(Outcome.ROLLED_BACK, f"Rolled back to {manifest.champion.digest[:12]}. {why}")

    def _promoted(self, promotion: Promotion) -> IncidentReport:
        review = self._progress.facts.review
        how = f"after {sentences.decided_by(review)}" if review else "by itself, on the evidence"
        return self._report(Outcome.PROMOTED, f"Promoted {promotion.manifest.champion.digest[:12]} {how}.")

    def _held(self) -> IncidentReport:
        review = self._progress.facts.review
        expired = review is not None and review.resolution is Resolution.EXPIRED
        why = sentences.decided_by(review) if review else "; ".join(self._progress.facts.notes[-1:])
        return self._report(Outcome.EXPIRED if expired else Outcome.HELD, f"The champion stays: {why}.")

    def _broken_off(self, end: BaseException) -> IncidentReport:
        if is_cancelled_exception(end) or isinstance(end, asyncio.CancelledError) or _told_to_stop():
            return self._report(Outcome.CANCELLED, f"Cancelled in stage {self._progress.stage.value}.")
        return self._report(Outcome.FAILED, f"Failed in stage {self._progress.stage.value}: {sentences.cause(end)}.")

    def _report(self, outcome: Outcome, sentence: str) -> IncidentReport:
        facts = self._progress.facts
        promotion = facts.promotion
        return IncidentReport(
            endpoint=self._request.endpoint,
            incident=self._request.incident,
            outcome=outcome,
            as_of=facts.snapshot.as_of if facts.snapshot else max(a.as_of for a in self._request.alarms),
            sentence=sentence,
            judgement=facts.judgement,
            review=facts.review,
            champion=facts.rolled_back_to or (promotion.manifest.champion.digest if promotion else None),
            former=promotion.former.digest if promotion and promotion.former else None,
            promoted=promotion is not None,
            automatic=promotion is not None and facts.review is None,
            cost_usd=self._progress.cost_usd,
        )

    @workflow.query
    def status(self) -> RemediationStatus:
        return self._progress.status(self._review.refused, self._review.deadline if self._review.open else None)

    @workflow.signal(dynamic=True)
    def on_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """`approve` and `reject`; anything else is kept in quarantine. Nothing a sender does can raise here."""
        try:
            inbox.known(name, ("approve", "reject"))
            decision = inbox.parse(Decision, args, typed=True, approve=name == "approve")
        except inbox.MalformedInputError as error:
            note = inbox.quarantined(name, args, str(error))
            self._progress.quarantine = (*self._progress.quarantine, note)[-20:]
            return
        self._review.offer(decision)

    @workflow.update(dynamic=True)
    def on_update(self, name: str, args: Sequence[RawValue]) -> ReviewOutcome:  # noqa: ARG002 - the validator knows it
        decision = inbox.parse(Decision, args)
        outcome = self._review.offer(decision)
        assert outcome is not None  # the validator ran in the same task
        return outcome

    @on_update.validator
    def _check_update(self, name: str, args: Sequence[RawValue]) -> None:
        """A refusal reaches the caller with its type and leaves no history."""
        try:
            inbox.known(name, ("decide",))
            decision = inbox.parse(Decision, args, typed=True)
        except inbox.MalformedInputError as error:
            raise inbox.refused(error) from None
        if decision.evidence is None:
            raise ApplicationError("evidence: name the digest that you were shown", type="Malformed")
        refusal = self._review.refuse(decision)
        if refusal is not None:
            raise ApplicationError(refusal.reason, type=refusal.kind.value)
