"""Where a remediation stands: the one object behind its status, its details in the UI and its audit record."""

from typing import Any

from temporalio import workflow

from contracts.alarm import QuarantinedSignal
from contracts.base import Contract, Utc
from contracts.delivery import Untold
from contracts.evaluation import Evidence, Judgement
from contracts.incident import RemediationRequest, RemediationStatus, Stage, WaitingOn
from contracts.notices import Told
from contracts.review import Asked, ReviewOutcome
from contracts.rollout import Promotion
from contracts.shadow import BenchAdvice
from contracts.snapshot import Snapshot
from contracts.training import Challenger, ModelCard, Recipe
from policies.review import Route
from workflows import visibility
from workflows.review_wait import ReviewWait


class Facts(Contract):
    """All that a remediation has found out so far."""

    snapshot: Snapshot | None = None
    recipe: Recipe | None = None
    """Where it is not the declared one: the window was widened."""
    champion: ModelCard | None = None
    advice: BenchAdvice | None = None
    """What the shadow bench said; None where training waits for alarms."""
    judged: Challenger | None = None
    refit: Challenger | None = None
    evidence: Evidence | None = None
    judgement: Judgement | None = None
    asked_because: tuple[str, ...] = ()
    asked: Asked | None = None
    told: tuple[Told, ...] = ()
    review: ReviewOutcome | None = None
    promotion: Promotion | None = None
    recalibration: Promotion | None = None
    rolled_back_to: str | None = None
    would_have: Route | None = None
    """In shadow mode: where the verdict would have led."""
    untold: tuple[Untold, ...] = ()
    """Notices that a channel hasn't taken so far."""
    notes: tuple[str, ...] = ()


class Progress:
    """Stage, what is waited for, and the facts; every change shows at once in the UI."""

    def __init__(self, request: RemediationRequest) -> None:
        self.request = request
        self.facts = Facts()
        self.stage = Stage.SNAPSHOT
        self.waiting_on = WaitingOn.NOTHING
        self.since: Utc = workflow.now()
        self.quarantine: tuple[QuarantinedSignal, ...] = ()
        self.sentence = "The incident has just opened."

    def learn(self, **facts: object) -> None:
        self.facts = self.facts.model_copy(update=facts)
        self._show()

    def note(self, text: str) -> None:
        self.learn(notes=(*self.facts.notes, text[:500])[-50:])

    def enter(self, stage: Stage, sentence: str, waiting_on: WaitingOn = WaitingOn.NOTHING) -> None:
        """Search attributes change only when what is waited for does: a search is for who has to act."""
        changed = waiting_on is not self.waiting_on or stage is Stage.CLOSED
        self.stage, self.sentence, self.waiting_on, self.since = stage, sentence, waiting_on, workflow.now()
        if changed:
            visibility.upsert({visibility.STAGE: stage.value, visibility.WAITING_ON: waiting_on.value})
        self._show()

    @property
    def cost_usd(self) -> float:
        return sum(c.cost_usd for c in (self.facts.judged, self.facts.refit) if c is not None)

    def status(self, review: ReviewWait) -> RemediationStatus:
        return RemediationStatus(
            endpoint=self.request.endpoint,
            incident=self.request.incident,
            stage=self.stage,
            waiting_on=self.waiting_on,
            since=self.since,
            alarms=tuple(a.id for a in self.request.alarms),
            evidence=self.facts.evidence.digest if self.facts.evidence else None,
            judgement=self.facts.judgement,
            challenger=self.facts.refit,
            review_deadline=review.deadline if review.open else None,
            review=self.facts.review,
            refused=review.refused,
            quarantine=self.quarantine,
            untold=self.facts.untold,
            sentence=self.sentence,
            asked=self.facts.asked,
            reviewers=review.reviewers if review.open else (),
            decisions=review.tally.counting,
            missing=review.tally.missing if review.open else "",
            told=self.facts.told,
        )

    def record(self) -> dict[str, Any]:
        """For the audit chain: plain JSON."""
        apart = {"advice": {"judgement"}}  # the gate's own stands beside it
        facts: dict[str, Any] = self.facts.model_dump(mode="json", exclude_none=True, exclude=apart)
        facts["alarms"] = [a.model_dump(mode="json", exclude_none=True) for a in self.request.alarms]
        facts["mode"] = self.request.policy.mode.value
        facts["team"] = self.request.policy.team
        facts["cost_center"] = self.request.policy.cost_center
        facts["cost_usd"] = self.cost_usd
        return facts

    def _show(self) -> None:
        facts, judgement = self.facts, self.facts.judgement
        rows = {
            "stage": self.stage.value,
            "waiting on": self.waiting_on.value,
            "now": self.sentence,
            "alarms": ", ".join(a.id for a in self.request.alarms[:5]),
            "data": _data(self.facts.snapshot),
            "verdict": judgement.verdict.value if judgement else None,
            "blend": f"{facts.advice.blend}: {', '.join(facts.advice.members)}" if facts.advice else None,
            "why": judgement.sentence if judgement else None,
            "report": judgement.report_uri if judgement else None,
            "evidence": judgement.evidence if judgement else None,
            "asked because": "; ".join(facts.asked_because),
            "may decide": ", ".join(facts.asked.reviewers) if facts.asked else None,
            "decide until": _deadline(facts.asked),
            "training cost": f"${self.cost_usd:.4f}" if self.cost_usd else None,
        }
        decide = '\n\nSignals: `approve` and `reject` with `{"reviewer": "you", "note": "why"}`; update: `decide`.'
        workflow.set_current_details(f"### {self.request.endpoint}/{self.request.incident}\n\n{visibility.table(rows)}{decide}")


def _deadline(asked: Asked | None) -> str | None:
    return f"{asked.deadline:%Y-%m-%d %H:%M} UTC, then: {asked.default.value}" if asked else None


def _data(snapshot: Snapshot | None) -> str | None:
    """The coverage's verdict, and how many findings there are to it."""
    if snapshot is None or snapshot.coverage.verdict is None:
        return None
    findings = len(snapshot.coverage.findings)
    return f"{snapshot.coverage.verdict.value}{f', {findings} findings' if findings else ''}"
