"""What people are told, in words. Pure: the adapters decide how it reaches them."""

from datetime import datetime

from contracts import commands
from contracts.evaluation import Judgement
from contracts.incident import IncidentReport, RemediationRequest
from contracts.notices import NoticeKind
from contracts.people import Step
from contracts.review import Notice, Resolution


def review_notice(
    *,
    key: str,
    request: RemediationRequest,
    workflow_id: str,
    judgement: Judgement,
    why: tuple[str, ...],
    deadline: datetime | None,
    recipients: tuple[str, ...],
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
        recipients=recipients,
    )


def reminder(notice: Notice, n: int = 1) -> Notice:
    return notice.model_copy(
        update={
            "key": f"{notice.key}/reminder" + (f"/{n}" if n > 1 else ""),
            "kind": NoticeKind.REMINDER,
            "title": f"{notice.endpoint}: still waiting for your decision",
        }
    )


def escalation(notice: Notice, step: Step, n: int) -> Notice:
    """To the next rung of the ladder: `n` counts from 1."""
    may = " You may decide it, too." if step.may_decide else ""
    return notice.model_copy(
        update={
            "key": f"{notice.key}/escalation/{n}",
            "kind": NoticeKind.ESCALATION,
            "title": f"{notice.endpoint}: nobody has decided so far",
            "sentence": f"{notice.sentence}{may}",
            "recipients": step.tell,
        }
    )


_ENDED = {Resolution.VOIDED: NoticeKind.VOIDED, Resolution.HEALED: NoticeKind.HEALED}
"""How whoever was asked learns that there is nothing left to decide."""


def outcome_notice(
    *, key: str, request: RemediationRequest, workflow_id: str, report: IncidentReport, recipients: tuple[str, ...]
) -> Notice:
    ended = _ENDED.get(report.review.resolution) if report.review else None
    how = f"closed, {report.outcome.value.replace('_', ' ')}"
    return Notice(
        key=key,
        kind=ended or NoticeKind.OUTCOME,
        endpoint=request.endpoint,
        incident=request.incident,
        title=f"{request.endpoint}: incident {how}" + ("; nothing is left to decide" if ended else ""),
        sentence=report.sentence,
        evidence=report.judgement.evidence if report.judgement else None,
        diagnostics=report.judgement.report_uri if report.judgement else "",
        workflow_id=workflow_id,
        commands={"roll back": commands.rollback(request.endpoint)} if report.promoted or report.recalibrated else {},
        recipients=recipients,
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
