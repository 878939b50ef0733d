"""Telling people without waiting for the channel: what can't be sent is noted, tried on, and the loop goes on."""

import asyncio
from collections.abc import Iterable

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError, is_cancelled_exception

from contracts.delivery import Delivery, Missed, TellLate, Untold, untold
from contracts.incident import IncidentReport, RemediationRequest
from contracts.review import Notice
from policies.addressing import addressed, superseded
from workflows import delivering, notices, sentences
from workflows.delivering import Late
from workflows.progress import Progress
from workflows.review_wait import ReviewWait
from workflows.steps import Steps


class Telling:
    def __init__(self, request: RemediationRequest, steps: Steps, progress: Progress, review: ReviewWait) -> None:
        self._request = request
        self._review = review
        self._steps = steps
        self._progress = progress
        self._under_way: list[asyncio.Task[None]] = []
        self._late: dict[str, tuple[TellLate, Late]] = {}
        self._followed: set[asyncio.Task[None]] = set()

    def send(self, notice: Notice) -> None:
        """In order, beside whatever the remediation does meanwhile; to whom the policy names by now."""
        before = self._under_way[-1:]
        notice = addressed(notice.model_copy(update={"severity": self._request.severity}), self._review.policy)
        self._under_way.append(asyncio.ensure_future(self._send_after(before, notice)))

    async def finished(self) -> None:
        """Before the workflow ends; each sending is bounded by its options."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _send_after(self, before: list[asyncio.Task[None]], notice: Notice) -> None:
        await asyncio.gather(*before, return_exceptions=True)
        self._drop_superseded(notice)
        try:
            delivery = await delivering.told(notice)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            reason = sentences.cause(error)
            self._progress.note(f"not told ({notice.kind.value}): {reason}")
            delivery = Delivery(missed={name: Missed(reason=reason) for name in notice.channels})
        if delivery.missed:
            await self._tell_later(notice, delivery)

    async def _tell_later(self, notice: Notice, delivery: Delivery) -> None:
        late = await delivering.later(notice, delivery)
        self._missed(notice.key, untold(notice, delivery, late[0].until if late else None))
        self._progress.note(f"{notice.kind.value}: {delivery.sentence}")
        if late is not None:
            self._late[notice.key] = late
            follow = asyncio.ensure_future(self._follow(notice, late[1]))
            self._followed.add(follow)
            follow.add_done_callback(self._followed.discard)

    async def _follow(self, notice: Notice, late: Late) -> None:
        """While the incident is open its status tells what came of it; nobody waits for this."""
        try:
            delivery = await late
        except ChildWorkflowError as error:
            if not is_cancelled_exception(error):
                self._progress.note(f"not told ({notice.kind.value}): {sentences.cause(error)}")
                return
            delivery = Delivery()
        finally:
            self._late.pop(notice.key, None)
        self._missed(notice.key, untold(notice, delivery, None))

    def _missed(self, key: str, now: Iterable[Untold]) -> None:
        others = tuple(one for one in self._progress.facts.untold if one.key != key)
        self._progress.learn(untold=(*others, *now)[-50:])

    def _drop_superseded(self, notice: Notice) -> None:
        """A channel that comes back hears the newest state, not all that it has missed."""
        for late, handle in list(self._late.values()):
            if superseded(late.notice, notice):
                handle.cancel()

    def page(self, sentence: str) -> None:
        self.send(
            notices.page(
                key=self._steps.key("page", len(self._under_way) + 1),
                endpoint=self._request.endpoint,
                incident=self._request.incident,
                workflow_id=workflow.info().workflow_id,
                sentence=sentence,
                recipients=self._request.policy.review.reviewers,
            )
        )

    def outcome(self, report: IncidentReport) -> None:
        key, workflow_id = self._steps.key("outcome"), workflow.info().workflow_id
        asked = (name for told in self._progress.facts.told for name in told.to)
        people = tuple(dict.fromkeys((*self._request.policy.review.reviewers, *asked)))
        self.send(
            notices.outcome_notice(key=key, request=self._request, workflow_id=workflow_id, report=report, recipients=people)
        )
