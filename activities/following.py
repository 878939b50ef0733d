"""Wait for a remediation that an earlier run of the lifecycle began."""

import asyncio

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from contracts.incident import IncidentReport, OpenIncident

HEARTBEAT_SECONDS = 5.0


class FollowActivities:
    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn
    async def await_incident(self, incident: OpenIncident) -> IncidentReport:
        """Raises a final error when it ended without a report: failed, cancelled or terminated."""
        handle = self._client.get_workflow_handle(incident.workflow_id, result_type=IncidentReport)
        result: asyncio.Future[IncidentReport] = asyncio.ensure_future(handle.result())
        try:
            while not result.done():
                activity.heartbeat()
                await asyncio.wait([result], timeout=HEARTBEAT_SECONDS)
            return result.result()
        except WorkflowFailureError as error:
            raise ApplicationError(f"{incident.incident}: {error.cause}", type="RemediationLost", non_retryable=True) from error
        finally:
            result.cancel()
