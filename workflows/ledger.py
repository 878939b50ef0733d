"""What a lifecycle knows, and every change to it: one state object, handed whole to the next run."""

from collections.abc import Sequence
from hashlib import sha256

from temporalio import workflow

from contracts.alarm import Alarm, AlarmKind, Cleared, QuarantinedSignal
from contracts.base import Utc
from contracts.evaluation import GateKind
from contracts.fleet import EndpointPolicy
from contracts.incident import (
    AlarmFate,
    AlarmRecord,
    DetectorEnd,
    IncidentReport,
    IncidentSummary,
    LifecycleState,
    OpenIncident,
    Outcome,
    Pause,
    RollbackReport,
)
from contracts.review import RefusedDecision
from policies import intake
from workflows import visibility

SEEN = 1000
RECENT = 100
HISTORY = 20
KEPT_BAD = 20
ENDED = 200


def _mark(alarm_id: str) -> str:
    return sha256(alarm_id.encode()).hexdigest()[:16]


class Ledger:
    def __init__(self, state: LifecycleState) -> None:
        self.state = state
        self._seen = set(state.seen)
        self._shown: tuple[str, str] | None = None

    def _change(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)

    def take(self, alarm: Alarm) -> None:
        """A repeated id is counted and forgotten; what an open incident covers joins it; the rest waits to be judged."""
        if alarm.endpoint != self.state.endpoint:
            note = f"the alarm names endpoint {alarm.endpoint!r}"
            self.quarantine(QuarantinedSignal(name="alarm", reason=note, head=alarm.id, received=workflow.now()))
            return
        early = intake.from_the_future(as_of=alarm.as_of, now=workflow.now())
        if early is not None:
            self.quarantine(QuarantinedSignal(name="alarm", reason=early, head=alarm.id, received=workflow.now()))
            return
        if _mark(alarm.id) in self._seen:
            self._count(AlarmFate.DUPLICATE.value)
            return
        self._remember(alarm.id)
        if self._came_late(alarm):
            why = "its detector had taken it back before it arrived"
            self.settle_alarms([AlarmRecord(id=alarm.id, fate=AlarmFate.CLEARED, reason=why)])
            return
        now_open = self.state.open
        if now_open is not None and intake.speaks_of_the_same(alarm=alarm, incident_as_of=now_open.as_of):
            self.settle_alarms([AlarmRecord(id=alarm.id, fate=AlarmFate.JOINED, incident=now_open.incident)])
            return
        self._wait(alarm)

    def _wait(self, alarm: Alarm) -> None:
        pending, covered = intake.queue(pending=self.state.pending, alarm=alarm)
        self._change(pending=pending)
        if covered is not None:
            why = f"{intake.MOST_PENDING} alarms wait already and say as much"
            self.settle_alarms([AlarmRecord(id=covered.id, fate=AlarmFate.JOINED, reason=why)])

    def clear(self, cleared: Cleared) -> bool:
        """Whether one was waiting: then it opens nothing."""
        self._note_end(cleared)
        taken_back = [a for a in self.state.pending if intake.has_ended(alarm=a, cleared=cleared)]
        if not taken_back:
            return False
        self._change(pending=tuple(a for a in self.state.pending if a not in taken_back))
        why = "its detector took it back"
        self.settle_alarms([AlarmRecord(id=a.id, fate=AlarmFate.CLEARED, reason=why) for a in taken_back])
        return True

    def _note_end(self, cleared: Cleared) -> None:
        """Messages overtake one another: the end of an alarm may arrive before the alarm."""
        if not cleared.detector or cleared.changed_at is None:
            return
        mark = _mark(cleared.detector)
        before = [end.at for end in self.state.ended if end.detector == mark]
        end = DetectorEnd(detector=mark, at=max([cleared.changed_at, *before]))
        self._change(ended=(*(e for e in self.state.ended if e.detector != mark), end)[-ENDED:])

    def _came_late(self, alarm: Alarm) -> bool:
        if not alarm.detector:
            return False
        mark = _mark(alarm.detector)
        ends = [end.at for end in self.state.ended if end.detector == mark]
        return any(intake.is_stale(changed_at=alarm.changed_at, ended_at=at) for at in ends)

    def _remember(self, alarm_id: str) -> None:
        seen = (*self.state.seen, _mark(alarm_id))[-SEEN:]
        self._seen.add(seen[-1])
        if len(self._seen) > 2 * SEEN:
            self._seen = set(seen)
        self._change(seen=seen)

    def _count(self, fate: str, by: int = 1) -> None:
        counts = self.state.counts
        self._change(counts={**counts, fate: counts.get(fate, 0) + by})

    def settle_alarms(self, records: Sequence[AlarmRecord]) -> None:
        for record in records:
            self._count(record.fate.value)
        self._change(recent=(*self.state.recent, *records)[-RECENT:])

    def quarantine(self, note: QuarantinedSignal) -> None:
        self._count("quarantined")
        self._change(quarantine=(*self.state.quarantine, note)[-KEPT_BAD:])

    def refuse(self, refusal: RefusedDecision) -> None:
        self._change(refused=(*self.state.refused, refusal)[-KEPT_BAD:], refusals=self.state.refusals + 1)

    def pause(self, pause: Pause | None) -> None:
        self._change(paused=pause)

    def configure(self, policy: EndpointPolicy) -> None:
        self._change(policy=policy)

    def can_open(self) -> bool:
        """Whether pending alarms may be judged now."""
        s = self.state
        return bool(s.pending) and s.policy is not None and s.paused is None and s.open is None

    def asked_for(self) -> bool:
        """Whether a person asked for this work: then nothing more is waited for."""
        return any(a.kind is AlarmKind.ONBOARDING for a in self.state.pending)

    def judge_pending(self) -> tuple[Alarm, ...]:
        """Absorb what cools down; the rest, if any, opens the next incident."""
        verdict = intake.judge(pending=self.state.pending, cool_until=self.state.cool_until)
        self.settle_alarms(verdict.absorbed)
        self._change(pending=())
        return verdict.opening

    def opened(self, incident: OpenIncident, alarms: Sequence[Alarm]) -> None:
        fates = [AlarmFate.OPENED] + [AlarmFate.JOINED] * (len(alarms) - 1)
        pairs = zip(alarms, fates, strict=True)
        self.settle_alarms([AlarmRecord(id=a.id, fate=fate, incident=incident.incident) for a, fate in pairs])

    def opening(self, incident: OpenIncident) -> None:
        self._change(open=incident)

    def was_there_before(self, incident: OpenIncident, alarms: Sequence[Alarm]) -> None:
        """The incident that these alarms would open has been worked on already: an id older than what `seen` keeps."""
        self._change(open=None)
        why = f"{incident.incident} was opened by this alarm before"
        self.settle_alarms([AlarmRecord(id=a.id, fate=AlarmFate.DUPLICATE, reason=why) for a in alarms])

    def tokens(self, policy: EndpointPolicy, alarms: Sequence[Alarm]) -> float:
        return intake.tokens_at(
            as_of=max(a.as_of for a in alarms),
            policy=policy.intake,
            tokens=self.state.tokens,
            counted_at=self.state.tokens_as_of,
        )

    def closed(self, report: IncidentReport) -> None:
        """Cool-down, promotion budget, history; then the alarms that came meanwhile."""
        policy = self.state.policy
        assert policy is not None  # no incident opens without one
        left = intake.tokens_at(
            as_of=report.as_of, policy=policy.intake, tokens=self.state.tokens, counted_at=self.state.tokens_as_of
        )
        spent = 1.0 if report.promoted and report.automatic else 0.0
        self._change(
            open=None,
            cool_until=self._cool_until(report, policy),
            tokens=max(left - spent, 0.0),
            tokens_as_of=max(report.as_of, self.state.tokens_as_of or report.as_of),
            promoted_as_of=self._promoted_as_of(report),
            strict_looks=self._strict_looks(report),
            history=(*self.state.history, _summary(report))[-HISTORY:],
        )
        self._tally(report.outcome.value)
        self._join_what_it_covered(report)

    def _cool_until(self, report: IncidentReport, policy: EndpointPolicy) -> Utc | None:
        """A recalibration starts none, not even where it had to be taken back."""
        present = self.state.cool_until
        if report.recalibrated:
            return present
        return intake.cool_down_end(outcome=report.outcome, as_of=report.as_of, policy=policy.intake, present=present)

    def _promoted_as_of(self, report: IncidentReport) -> Utc | None:
        before = self.state.promoted_as_of
        if report.outcome is not Outcome.PROMOTED:
            return before
        return max(report.as_of, before or report.as_of)

    def _strict_looks(self, report: IncidentReport) -> int:
        """A new champion begins anew."""
        if report.champion is not None:
            return 0
        return self.state.strict_looks + (report.judgement is not None and report.judgement.kind is GateKind.STRICT)

    def _join_what_it_covered(self, report: IncidentReport) -> None:
        covered = [a for a in self.state.pending if intake.speaks_of_the_same(alarm=a, incident_as_of=report.as_of)]
        self._change(pending=tuple(a for a in self.state.pending if a not in covered))
        self.settle_alarms([AlarmRecord(id=a.id, fate=AlarmFate.JOINED, incident=report.incident) for a in covered])

    def rolled_back(self, report: RollbackReport) -> None:
        if report.done:
            self._change(strict_looks=0)
        self._tally("rollback_done" if report.done else "rollback_failed")

    def _tally(self, outcome: str) -> None:
        outcomes = self.state.outcomes
        self._change(outcomes={**outcomes, outcome: outcomes.get(outcome, 0) + 1})

    def show(self, stage: str) -> None:
        """Search attributes change only with what people search for; the details are free."""
        state = self.state
        waiting = "incident" if state.open else "nothing"
        if (stage, waiting) != self._shown:
            first, self._shown = self._shown is None, (stage, waiting)
            if not first:
                visibility.upsert({visibility.STAGE: stage, visibility.WAITING_ON: waiting})
        workflow.set_current_details(_details(state, stage))


def _summary(report: IncidentReport) -> IncidentSummary:
    return IncidentSummary(
        incident=report.incident,
        outcome=report.outcome,
        as_of=report.as_of,
        sentence=report.sentence[:500],
        promoted=report.promoted,
        automatic=report.automatic,
        reviewed=report.review.resolution if report.review else None,
    )


def _details(state: LifecycleState, stage: str) -> str:
    last = state.history[-1] if state.history else None
    rows = {
        "stage": stage,
        "mode": state.policy.mode.value if state.policy else None,
        "open incident": state.open.workflow_id if state.open else None,
        "paused": f"by {state.paused.by}: {state.paused.reason}" if state.paused else None,
        "alarms": ", ".join(f"{name} {n}" for name, n in sorted(state.counts.items())),
        "waiting alarms": len(state.pending) or None,
        "last incident": f"{last.incident}: {last.outcome.value}. {last.sentence}" if last else None,
        "cool-down until (data time)": f"{state.cool_until:%Y-%m-%d %H:%M}" if state.cool_until else None,
        "quarantine": f"{len(state.quarantine)}, newest: {state.quarantine[-1].reason}" if state.quarantine else None,
    }
    return f"### {state.endpoint}\n\n{visibility.table(rows)}\n\n{_SAY}"


_SAY = """Signals: `alarm` `{"id": "a1", "endpoint": "NAME", "kind": "model_quality", "as_of": "2026-01-01T00:00:00Z"}`,
`cleared` `{"id": "a1", "endpoint": "NAME"}`,
`approve` / `reject` `{"reviewer": "you", "note": "why"}`, `pause` `{"by": "you", "reason": "why"}`, `resume` `{"by": "you"}`.
Updates: `rollback` `{"by": "you", "reason": "why"}`, `configure` (an endpoint's policy). Query: `status`."""
