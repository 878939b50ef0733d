"""One endpoint in full, as people read it."""

from collections.abc import Iterator, Sequence

from rich.console import Console

from console.screen import Show, safe, table, utc
from contracts.alarm import QuarantinedSignal
from contracts.fleet import Mode
from contracts.incident import LifecycleState, LifecycleStatus, RemediationStatus
from contracts.review import RefusedDecision
from contracts.rollout import Deployment, Manifest

_LAST = 10
_MODES = {Mode.ACT: "act", Mode.SHADOW: "shadow: decides and records, does nothing"}

Pairs = Iterator[tuple[str, object]]


def page(
    answer: LifecycleStatus,
    work: RemediationStatus | None,
    manifest: Manifest | None,
    deployment: Deployment | None,
    problems: Sequence[str],
) -> Show:
    """Draws what `status NAME` found."""
    state = answer.state

    def draw(console: Console) -> None:
        _pairs(console, "", [*_head(answer, manifest), *_service(deployment), *(("problem", text) for text in problems)])
        if state.open:
            _pairs(console, f"open incident {state.endpoint}/{state.open.incident}", [*_opened(state), *_work(work)])
        _alarms(console, state)
        _quarantine(console, (*state.quarantine, *(work.quarantine if work else ())))
        _refused(console, (*state.refused, *(work.refused if work else ())))
        _history(console, state)

    return draw


def _pairs(console: Console, title: str, pairs: Sequence[tuple[str, object]]) -> None:
    _title(console, title)
    for name, value in pairs:
        console.print(safe(f"{name:<16}{value}", "red" if name == "problem" else ""), soft_wrap=True)


def _title(console: Console, title: str) -> None:
    if title:
        console.print()
        console.print(safe(title, "bold"), soft_wrap=True)


def _head(answer: LifecycleStatus, manifest: Manifest | None) -> Pairs:
    state = answer.state
    yield "endpoint", state.endpoint
    yield "stage", answer.stage
    if answer.rolling_back:
        yield "rolling back", answer.rolling_back
    if state.paused:
        yield "paused", f"by {state.paused.by} since {utc(state.paused.at)}: {state.paused.reason or 'no reason given'}"
    if state.policy:
        yield "mode", _MODES[state.policy.mode]
        yield "team", f"{state.policy.team} (cost center {state.policy.cost_center})"
    if manifest:
        yield "champion", manifest.champion.digest
        yield "promoted", f"as of {utc(manifest.promoted_as_of)}, revision {manifest.revision}, {manifest.incident or 'by hand'}"
    if manifest and manifest.recalibration:
        yield "recalibrated", f"as of {utc(manifest.served_from)}: the same model with another shift"
    yield "cooling until", utc(state.cool_until)
    yield "so far", ", ".join(f"{count} {fate}" for fate, count in sorted(state.counts.items())) or "none"


def _service(deployment: Deployment | None) -> Pairs:
    if deployment is None:
        yield "in service", "nothing that is known here"
        return
    yield "in service", f"{deployment.ready} of {deployment.instances} instances ready {deployment.url}".rstrip()
    for digest, count in sorted(deployment.digests.items()):
        yield "  model", f"{digest} on {count}" + (" (wanted)" if digest == deployment.wanted else "")
    if deployment.failure:
        yield "problem", deployment.failure
    for note in deployment.notes:
        yield "note", note


def _opened(state: LifecycleState) -> Pairs:
    assert state.open is not None
    yield "severity", state.open.severity.value
    yield "data as of", utc(state.open.as_of)
    yield "workflow", state.open.workflow_id


def _work(work: RemediationStatus | None) -> Pairs:
    if work is None:
        yield "stage", "starting"
        return
    yield "stage", f"{work.stage.value} since {utc(work.since)}"
    yield "waiting on", work.waiting_on.value
    yield "now", work.sentence
    yield "alarms", ", ".join(work.alarms)
    if work.judgement:
        yield "verdict", f"{work.judgement.verdict.value}: {work.judgement.sentence}"
    if work.judgement and work.judgement.report_uri:
        yield "report", work.judgement.report_uri
    if work.evidence:
        yield "evidence", work.evidence
    for missed in work.untold:
        until = f"; tried until {utc(missed.trying_until)}" if missed.trying_until else "; given up"
        yield "not told", f"{missed.kind.value} by {missed.channel}: {missed.reason}{until}"
    if work.review_deadline:
        yield from _asked(work)
        yield "decide until", utc(work.review_deadline)
        yield (
            "to decide",
            f"python starter.py approve|reject {work.endpoint}/{work.incident} --evidence {work.evidence} --note ...",
        )


def _asked(work: RemediationStatus) -> Pairs:
    if work.asked:
        yield "asked because", "; ".join(work.asked.reasons)
        yield "may decide", ", ".join(work.reviewers) or "anybody"
    for told in work.told:
        yield told.kind.value, f"{utc(told.at)} to {', '.join(told.to) or 'all channels'}"
    for one in work.decisions:
        how = one.vouched.how.value if one.vouched else "unverified"
        place = f", in the place of {one.instead_of}" if one.instead_of else ""
        yield "approved by", f"{one.decision.reviewer} ({how}{place}) {utc(one.at)}"
    if work.missing and work.decisions:
        yield "missing", work.missing


def _alarms(console: Console, state: LifecycleState) -> None:
    if not state.pending:
        return
    _title(console, f"pending alarms ({len(state.pending)})")
    rows = [(utc(a.as_of), a.kind.value, a.severity.value, a.source, a.message or "-", a.id) for a in state.pending[-_LAST:]]
    console.print(table(("as of", "kind", "severity", "source", "message", "id"), rows))


def _quarantine(console: Console, signals: Sequence[QuarantinedSignal]) -> None:
    if not signals:
        return
    _title(console, f"quarantine ({len(signals)}): signals that nobody could understand")
    rows = [(utc(s.received), s.name, s.reason, s.head[:80]) for s in signals[-_LAST:]]
    console.print(table(("received", "signal", "reason", "begins with"), rows))


def _refused(console: Console, decisions: Sequence[RefusedDecision]) -> None:
    if not decisions:
        return
    _title(console, f"refused decisions ({len(decisions)})")
    console.print(table(("at", "reviewer", "reason"), [(utc(d.at), d.reviewer, d.reason) for d in decisions[-_LAST:]]))


def _history(console: Console, state: LifecycleState) -> None:
    if not state.history:
        return
    _title(console, "last incidents")
    rows = [(utc(i.as_of), i.incident, i.outcome.value, i.sentence) for i in reversed(state.history[-_LAST:])]
    console.print(table(("data as of", "incident", "outcome", "what happened"), rows))
