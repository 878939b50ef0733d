"""Telling people without waiting for the channel: what can't be sent is noted, and the loop goes on."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from contracts.incident import IncidentReport, RemediationRequest
from contracts.review import Notice
from workflows import notices, sentences
from workflows.progress import Progress
from workflows.steps import Steps


class Telling:
    def __init__(self, request: RemediationRequest, steps: Steps, progress: Progress) -> None:
        self._request = request
        self._steps = steps
        self._progress = progress
        self._under_way: list[asyncio.Task[None]] = []

    def send(self, notice: Notice) -> None:
        """In order, beside whatever the remediation does meanwhile."""
        before = self._under_way[-1:]
        self._under_way.append(asyncio.ensure_future(self._send_after(before, notice)))

    async def finished(self) -> None:
        """Before the workflow ends; each sending is bounded by its options."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _send_after(self, before: list[asyncio.Task[None]], notice: Notice) -> None:
        await asyncio.gather(*before, return_exceptions=True)
        try:
            await self._steps.notify(notice)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._progress.note(f"not told ({notice.kind.value}): {sentences.cause(error)}")

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
