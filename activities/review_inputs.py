"""Look at what an open review rests on: once, or again and again with no slot held in between."""

import asyncio

from temporalio import activity
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError

from activities.failures import not_yet, to_application_error
from contracts.ids import lifecycle_id
from contracts.incident import LifecycleStatus
from contracts.live_inputs import InputsChanged, LiveInputs, ReadInputs, WatchInputs
from contracts.rollout import CheckBake
from platforms.errors import PlatformError, Unavailable
from platforms.ports import Platform
from policies import review_inputs

_QUERY = "status"


class ReviewInputActivities:
    def __init__(self, platform: Platform, client: Client) -> None:
        self._platform = platform
        self._client = client

    @activity.defn
    async def read_inputs(self, request: ReadInputs) -> LiveInputs:
        return await self._look(request)

    @activity.defn
    async def watch_inputs(self, request: WatchInputs) -> InputsChanged:
        """One look; as long as nothing has changed it fails with the pause until the next one."""
        found = await self._look(request.read)
        reasons = review_inputs.changes(then=request.then, now=found, stale_after=request.stale_after)
        if not reasons:
            raise not_yet("the evidence still holds", request.check_every)
        return InputsChanged(reasons=reasons)

    async def _look(self, request: ReadInputs) -> LiveInputs:
        try:
            found = await asyncio.to_thread(self._read, request)
            return found if not request.alarms else found.model_copy(update={"waiting_alarms": await self._waiting(request)})
        except PlatformError as error:
            raise to_application_error(error) from error

    def _read(self, request: ReadInputs) -> LiveInputs:
        platform = self._platform
        manifest = platform.manifests.read(request.endpoint)
        champion = manifest.champion.digest if manifest else None
        state = platform.bench.read(request.endpoint) if request.bench else None
        known = platform.features.watermark(request.data) if request.data else None
        requests, errors = self._answers(request, champion)
        return LiveInputs(
            champion=champion,
            bench_turn=state.reached if state else None,
            known_until=known,
            requests=requests,
            errors=errors,
        )

    def _answers(self, request: ReadInputs, champion: str | None) -> tuple[int, int]:
        if request.errors_since is None or champion is None:
            return 0, 0
        check = CheckBake(endpoint=request.endpoint, digest=champion, since=request.errors_since, max_error_rate=1.0)
        report = self._platform.serving.health(check)
        return report.requests, report.errors

    async def _waiting(self, request: ReadInputs) -> tuple[str, ...]:
        handle = self._client.get_workflow_handle(lifecycle_id(request.endpoint))
        try:
            status = await handle.query(_QUERY, result_type=LifecycleStatus)
        except (RPCError, WorkflowQueryFailedError) as error:
            raise Unavailable(f"the lifecycle of {request.endpoint} does not say which alarms wait: {error}") from error
        return tuple(alarm.id for alarm in status.state.pending[:20])
