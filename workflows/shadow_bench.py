"""The shadow bench of one endpoint: turn after turn, the recipe fitted anew, scored on what came since, and advised upon.

A schedule starts a run each period. A run takes the turns that are due in the data's time, raises the alarm that the newest one
calls for, and ends in words. It changes nothing that is served.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from contracts.alarm import Alarm
    from contracts.base import Utc
    from contracts.shadow import BenchFit, BenchPlan, BenchReport, BenchRequest, BenchStatus, BenchTurn
    from contracts.snapshot import Snapshot

from workflows import options, sentences, visibility
from workflows.cancelling import raise_if_cancelled, told_to_stop
from workflows.turn_steps import TurnSteps

_NOT_OURS = ("NotFound", "Invalid")
"""What the endpoint lacks: said in words, and looked at again at the next turn."""


@workflow.defn(failure_exception_types=options.BUGS)
class ShadowBench:
    @workflow.init
    def __init__(self, request: BenchRequest) -> None:
        self._steps = TurnSteps(request)
        self._status = BenchStatus(endpoint=request.endpoint, stage="planning", since=workflow.now())
        self._raised: tuple[str, ...] = ()

    @workflow.run
    async def run(self, request: BenchRequest) -> BenchReport:  # noqa: ARG002 - __init__ keeps it
        """Whatever happens in between, nothing temporary stays."""
        ended: BaseException | None = None
        sentence, later = "", 0
        try:
            sentence, later = await self._turns()
        except (Exception, asyncio.CancelledError) as end:  # noqa: BLE001 - whichever way it ends, closing follows
            ended = end
        closing = asyncio.ensure_future(self._clean_up())
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError as cancel:
                ended = ended or cancel
        return self._ended(ended) if ended is not None else self._report(sentence, later)

    async def _turns(self) -> tuple[str, int]:
        plan = await self._steps.plan()
        if plan.unraised is not None and not plan.due:
            await self._raise(plan.unraised)
        for n, turn in enumerate(plan.due):
            self._show(stage="turn", turn=turn, left=len(plan.due) - n + plan.later)
            done = await self._turn(plan, turn, final=turn == plan.due[-1] and not plan.later)
            self._show(turns=(*self._status.turns, done), sentence=done.sentence)
            await self._clean_up()
            raise_if_cancelled()
        if self._status.turns and (alarm := self._status.turns[-1].alarm) is not None:
            await self._raise(alarm)
        return self._said(plan), plan.later

    async def _turn(self, plan: BenchPlan, turn: Utc, *, final: bool) -> BenchTurn:
        """What came since is scored before the members learn from it."""
        snapshot = await self._steps.snapshot(turn)
        scored = await self._steps.score(snapshot)
        advised_from = plan.advised_from or turn
        advice = await self._steps.advise(snapshot) if scored.news and turn >= advised_from else None
        fit = await self._fit(snapshot) if scored.news else None
        return await self._steps.keep(snapshot, scored, advice=advice, fit=fit, advised_from=advised_from, final=final)

    async def _fit(self, snapshot: Snapshot) -> BenchFit:
        """Rows from which nothing can be learned yet leave a gap in the record, not a failed run."""
        if not snapshot.dataset.rows:
            return BenchFit(as_of=snapshot.as_of, reason="there were no labelled rows yet")
        try:
            return BenchFit(as_of=snapshot.as_of, challenger=await self._steps.train(snapshot))
        except ActivityError as error:
            if sentences.kind(error) != "TrainingFailed":
                raise
            return BenchFit(as_of=snapshot.as_of, reason=sentences.cause(error)[:4000])

    async def _raise(self, alarm: Alarm) -> None:
        self._show(stage="alarm", sentence=f"Telling the bridge: {alarm.message}")
        try:
            taken = await self._steps.raise_alarm(alarm)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning(
                "alarm_not_raised", extra={"endpoint": self._status.endpoint, "reason": sentences.cause(error)}
            )
            return
        if taken.taken:
            self._raised = (*self._raised, alarm.id)

    async def _clean_up(self) -> None:
        """What can't be removed is left to the sweep."""
        if not self._steps.unclean:
            return
        try:
            removal = await self._steps.clean_up()
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._warn("not_cleaned_up", sentences.cause(error))
            return
        for failure in removal.failed:
            self._warn("not_removed", failure)

    def _warn(self, event: str, reason: str) -> None:
        workflow.logger.warning(event, extra={"endpoint": self._status.endpoint, "reason": reason})

    def _said(self, plan: BenchPlan) -> str:
        if not self._status.turns:
            reached = f" The last turn was {plan.reached:%Y-%m-%d %H:%M} UTC of the data's time." if plan.reached else ""
            return plan.sentence or f"No turn is due.{reached}"
        waiting = f" {plan.later} turns wait for the next run." if plan.later else ""
        unraised = self._status.turns[-1].alarm is not None and not self._raised
        silent = " The bridge did not take the alarm; it is sent again at the next turn." if unraised else ""
        return f"{self._status.turns[-1].sentence}{waiting}{silent}"

    def _ended(self, end: BaseException) -> BenchReport:
        """What the endpoint lacks is an end in words; everything else is for people to look at."""
        if is_cancelled_exception(end) or isinstance(end, asyncio.CancelledError) or told_to_stop():
            self._show(stage="closed", sentence="Cancelled.")
            raise asyncio.CancelledError from end
        turn = f" at the turn of {self._status.turn:%Y-%m-%d}" if self._status.turn else ""
        if isinstance(end, ActivityError) and sentences.kind(end) in _NOT_OURS:
            return self._report(f"Nothing could be done{turn}: {sentences.cause(end)}", 0)
        sentence = f"Failed{turn}: {sentences.cause(end)}"
        self._show(stage="closed", sentence=sentence)
        if isinstance(end, ActivityError):
            raise ApplicationError(sentence, type="TurnFailed", non_retryable=True) from end
        raise end

    def _report(self, sentence: str, later: int) -> BenchReport:
        self._show(stage="closed", sentence=sentence)
        return BenchReport(
            endpoint=self._status.endpoint, turns=self._status.turns, later=later, raised=self._raised, sentence=sentence
        )

    def _show(self, **changes: object) -> None:
        """In the Temporal UI; the index hears only of the end."""
        self._status = self._status.model_copy(update={**changes, "since": workflow.now()})
        now = self._status
        if now.stage == "closed":
            visibility.upsert({visibility.STAGE: "closed"})
        rows = {
            "stage": now.stage,
            "turn (the data's time)": f"{now.turn:%Y-%m-%d %H:%M} UTC" if now.turn else None,
            "turns left": now.left,
            "now": now.sentence,
            "turns done": "; ".join(f"{turn.as_of:%Y-%m-%d}: {turn.verdict or 'not judged'}" for turn in now.turns[-8:]),
            "alarms raised": ", ".join(self._raised),
        }
        workflow.set_current_details(f"### shadow bench of {now.endpoint}\n\n{visibility.table(rows)}")

    @workflow.query
    def status(self) -> BenchStatus:
        return self._status
