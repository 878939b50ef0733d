"""What people are told, in words. Pure: the adapters decide how it reaches them."""

from datetime import datetime

from contracts import commands
from contracts.evaluation import Judgement
from contracts.incident import IncidentReport, RemediationRequest
from contracts.notices import NoticeKind
from contracts.review import Notice


def review_notice(
    *,
    key: str,
    request: RemediationRequest,
    workflow_id: str,
    judgement: Judgement,
    why: tuple[str, ...],
    deadline: datetime | None,
) -> Notice:
    return Notice(
        key=key,
        kind=NoticeKind.REVIEW,
        endpoint=request.endpoint,
        incident=request.incident,
        title=f"{request.endpoint}: a challenger waits for your decision",
        sentence=f"{judgement.sentence} You are asked because {' and '.join(why)}.",
        evidence=judgement.evidence,
        diagnostics=judgement.report_uri,
        workflow_id=workflow_id,
        commands=commands.decisions(request.endpoint, request.incident, judgement.evidence),
        deadline=deadline,
        default=request.policy.review.default,
        recipients=request.policy.review.reviewers,
    )


def reminder(notice: Notice) -> Notice:
    return notice.model_copy(
        update={
            "key": f"{notice.key}/reminder",
            "kind": NoticeKind.REMINDER,
            "title": f"{notice.endpoint}: still waiting for your decision",
        }
    )


def outcome_notice(*, key: str, request: RemediationRequest, workflow_id: str, report: IncidentReport) -> Notice:
    return Notice(
        key=key,
        kind=NoticeKind.OUTCOME,
        endpoint=request.endpoint,
        incident=request.incident,
        title=f"{request.endpoint}: incident closed, {report.outcome.value.replace('_', ' ')}",
        sentence=report.sentence,
        evidence=report.judgement.evidence if report.judgement else None,
        diagnostics=report.judgement.report_uri if report.judgement else "",
        workflow_id=workflow_id,
        commands={"roll back": commands.rollback(request.endpoint)} if report.promoted or report.recalibrated else {},
        recipients=request.policy.review.reviewers,
    )


def page(*, key: str, endpoint: str, incident: str, workflow_id: str, sentence: str, recipients: tuple[str, ...]) -> Notice:
    return Notice(
        key=key,
        kind=NoticeKind.PAGE,
        endpoint=endpoint,
        incident=incident,
        title=f"{endpoint}: needs a person now",
        sentence=sentence,
        workflow_id=workflow_id,
        commands={"roll back": commands.rollback(endpoint), "look": f"python starter.py status {endpoint}"},
        recipients=recipients,
    )


def as_outcome(notice: Notice, title: str) -> Notice:
    return notice.model_copy(update={"kind": NoticeKind.OUTCOME, "title": title})
