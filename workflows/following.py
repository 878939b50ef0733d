"""How an incident's end comes back to its lifecycle, also where the remediation itself can't say."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError, FailureError
from temporalio.workflow import ChildWorkflowHandle

from activities.following import FollowActivities
from activities.promotion import PromotionActivities
from contracts.fleet import EndpointPolicy
from contracts.ids import step_key
from contracts.incident import IncidentReport, OpenIncident, Outcome
from contracts.rollout import RollBack
from workflows import options, sentences
from workflows.remediation import Remediation


async def result_of(
    handle: ChildWorkflowHandle[Remediation, IncidentReport], incident: OpenIncident, endpoint: str, policy: EndpointPolicy
) -> IncidentReport:
    """Completed, failed, cancelled or terminated: each comes back as a report."""
    try:
        return await handle
    except (ChildWorkflowError, FailureError) as error:
        return await _lost(endpoint, incident, policy, error)


async def follow(incident: OpenIncident, endpoint: str, policy: EndpointPolicy) -> IncidentReport:
    """Of a remediation that an earlier run of the lifecycle began."""
    try:
        return await workflow.execute_activity_method(
            FollowActivities.await_incident, incident, summary=f"follow {incident.incident}", **options.FOLLOW
        )
    except ActivityError as error:
        return await _lost(endpoint, incident, policy, error)


async def _lost(endpoint: str, incident: OpenIncident, policy: EndpointPolicy, error: Exception) -> IncidentReport:
    """Nobody could put back what a terminated promotion had begun, so the lifecycle does."""
    serves = await _serve_manifest(endpoint, incident, policy)
    sentence = (
        f"The remediation ended without a report ({sentences.cause(error)}). {serves} `starter.py sweep` removes what it left."
    )
    return IncidentReport(
        endpoint=endpoint, incident=incident.incident, outcome=Outcome.FAILED, as_of=incident.as_of, sentence=sentence
    )


async def _serve_manifest(endpoint: str, incident: OpenIncident, policy: EndpointPolicy) -> str:
    request = RollBack(
        key=step_key(incident.workflow_id, "restore-lost"),
        endpoint=endpoint,
        incident=incident.incident,
        serving=policy.serving,
        reason="the remediation was lost",
    )
    try:
        deployment = await workflow.execute_activity_method(
            PromotionActivities.restore_serving,
            request,
            summary="serve what the manifest names",
            **options.urgent(policy.serving.shift.timeout),
        )
    except ActivityError as failed:
        return f"What serves now may not be what the manifest names: {sentences.cause(failed)}."
    return "Nothing was ever promoted." if deployment is None else "The manifest's champion serves."
