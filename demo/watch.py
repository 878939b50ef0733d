"""What the demo sees of the loop: the status queries that the command line uses, and the monitor's own record."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from contracts.ids import lifecycle_id
from contracts.incident import LifecycleState, LifecycleStatus, RemediationStatus, Stage
from contracts.monitor import QualityReport
from runtime.errors import StartError

QUERY_SECONDS = timedelta(seconds=10)
_RETRIED = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.UNAVAILABLE, RPCStatusCode.NOT_FOUND)

_ENDING = (Stage.CLEANUP, Stage.CLOSED)

Answer = TypeVar("Answer", bound=BaseModel)


class StuckError(StartError):
    """Something that the demo waits for did not come."""

    exit_code = 70


@dataclass(frozen=True)
class Moment:
    """The loop at one moment. `status` is that of the open incident."""

    state: LifecycleState
    status: RemediationStatus | None

    @property
    def stage(self) -> Stage | None:
        return self.status.stage if self.status else None

    @property
    def idle(self) -> bool:
        return self.state.open is None and not self.state.pending

    def waits_for_labels(self, labels_until: datetime, watch: timedelta) -> bool:
        """True where only labels that have not come yet move it on."""
        if self.stage is Stage.DEFERRED:
            return True
        opened = self.state.open
        return self.stage is Stage.WATCH and opened is not None and labels_until < opened.as_of + watch

    def knows(self, alarm: str) -> bool:
        """True once the lifecycle has said what becomes of the alarm."""
        fates = (record.id for record in self.state.recent)
        return alarm in fates or any(alarm == each.id for each in self.state.pending)


class Loop:
    """Reads one endpoint's lifecycle and its open remediation, with one query at a time where that tells all."""

    def __init__(self, client: Client, endpoint: str) -> None:
        self._client = client
        self._lifecycle = lifecycle_id(endpoint)
        self._state: LifecycleState | None = None

    async def look(self) -> Moment | None:
        """The lifecycle and its open remediation. None where they can't say yet: a worker is busy, a workflow has not begun."""
        lifecycle = await self._query(self._lifecycle, LifecycleStatus)
        if lifecycle is None:
            return None
        self._state = lifecycle.state
        return await self._with_open(lifecycle.state)

    async def glance(self) -> Moment | None:
        """As `look`, but while a remediation is at work the lifecycle isn't asked again: it only waits for it."""
        if self._state is None or self._state.open is None:
            return await self.look()
        moment = await self._with_open(self._state)
        return await self.look() if moment is None or moment.stage in _ENDING else moment

    async def _with_open(self, state: LifecycleState) -> Moment | None:
        if state.open is None:
            return Moment(state, None)
        status = await self._query(state.open.workflow_id, RemediationStatus)
        return Moment(state, status) if status else None

    async def _query(self, workflow: str, answer: type[Answer]) -> Answer | None:
        handle = self._client.get_workflow_handle(workflow)
        try:
            found: Answer = await handle.query("status", result_type=answer, rpc_timeout=QUERY_SECONDS)
        except WorkflowQueryFailedError:
            return None
        except RPCError as error:
            if error.status in _RETRIED:
                return None
            raise
        return found


class Periods:
    """The monitor's periods, read as it appends them."""

    def __init__(self, home: Path, endpoint: str) -> None:
        self._file = home / "monitor" / endpoint / "periods.jsonl"
        self._read = 0
        self.newest_end: datetime | None = None
        """End of the newest period that was judged."""

    def look(self) -> list[QualityReport]:
        """What has come since the last look."""
        if not self._file.exists():
            return []
        with self._file.open("rb") as lines:
            lines.seek(self._read)
            fresh = [line for line in lines if line.endswith(b"\n")]
        self._read += sum(map(len, fresh))
        reports = [QualityReport.model_validate_json(line) for line in fresh]
        for report in reports:
            self.newest_end = max(report.window.end, self.newest_end or report.window.end)
        return reports
