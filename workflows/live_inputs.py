"""What an open review rests on: looked at when it opens, while it waits, and before an approval is carried out."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.review_inputs import ReviewInputActivities
from contracts.bench import Judging
from contracts.conditions import ConditionKind
from contracts.incident import RemediationRequest
from contracts.live_inputs import LiveInputs, ReadInputs, WatchInputs
from policies.review_inputs import asks_for
from workflows import options, sentences


class Inputs:
    def __init__(self, request: RemediationRequest) -> None:
        self._request = request
        self._policy = request.policy.review
        self._bench = request.policy.training.judging is Judging.SHADOW

    async def at_opening(self, champion: str | None) -> LiveInputs:
        """The champion is the one that the evidence was held against; the rest is read only where it is asked about."""
        if not self._bench and self._policy.stale_after is None:
            return LiveInputs(champion=champion)
        return (await self._read(self._asked())).model_copy(update={"champion": champion})

    async def now(self, conditions: Sequence[str], opened: datetime) -> LiveInputs:
        request = self._asked().model_copy(
            update={
                "errors_since": opened if asks_for(conditions, ConditionKind.ERROR_RATE_BELOW) else None,
                "alarms": asks_for(conditions, ConditionKind.NO_NEW_ALARM),
            }
        )
        return await self._read(request)

    def watch(
        self, then: LiveInputs, changed: Callable[[Sequence[str]], None], note: Callable[[str], None]
    ) -> asyncio.Task[None]:
        """One activity for the whole wait, whose retries are the looks: three events of history, and no slot in between."""
        request = WatchInputs(
            read=self._asked(), then=then, stale_after=self._policy.stale_after, check_every=self._policy.recheck_every
        )

        async def look() -> None:
            try:
                found = await workflow.execute_activity_method(
                    ReviewInputActivities.watch_inputs,
                    request,
                    summary=f"does the evidence still hold? every {self._policy.recheck_every}",
                    **options.rechecking(self._policy.timeout),
                )
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                note(f"what the review rests on can't be watched: {sentences.cause(error)}")
            else:
                changed(found.reasons)

        return asyncio.ensure_future(look())

    def _asked(self) -> ReadInputs:
        stale = self._policy.stale_after is not None
        return ReadInputs(endpoint=self._request.endpoint, data=self._request.policy.data if stale else None, bench=self._bench)

    async def _read(self, request: ReadInputs) -> LiveInputs:
        return await workflow.execute_activity_method(
            ReviewInputActivities.read_inputs, request, summary="what the review rests on", **options.INPUTS
        )
