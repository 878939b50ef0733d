"""The gate: may the challenger take the champion's place?

One primary metric, declared beforehand and a proper score, has to be better by a least effect; the others are guards
that may not be worse by more than their margin. 'Any of several metrics better' would multiply the chances of a lucky
rival. Rows are paired and days are the blocks (`policies/bootstrap.py`).

A guard is held on its point estimate, not on its interval: a proof of 'not worse by more than the margin' would need
rows that a small endpoint does not have (`policies/findings.py` has the figures).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from contracts.evaluation import GateKind, GatePolicy, Judgement, Verdict
from policies import findings, metrics
from policies.bootstrap import HIGHER_IS_BETTER
from policies.findings import Finding
from policies.paired import PairedScores
from policies.sample import Sample
from policies.verdict_words import sentence


def judge(
    *,
    holdout: PairedScores,
    replay: PairedScores,
    gate: GatePolicy,
    threshold: float,
    champion_trained_through: datetime | None,
    challenger_trained_through: datetime,
    weeks_since_promotion: float | None,
    evidence_digest: str,
) -> Judgement:
    """The verdict on rows that neither model was trained on. The same input gives the same judgement, to the last bit.

    Without a champion (`champion_trained_through` None) the champion's scores are the constant base rate, and guards
    are reported but not held: nothing in service can get worse.
    """
    first = champion_trained_through is None
    guards = _guards(gate)
    case = _Case(
        holdout=Sample(holdout, gate, threshold),
        replayed=Sample(replay, gate, threshold),
        gate=gate,
        kind=gate_kind(champion=champion_trained_through, challenger=challenger_trained_through, gate=gate),
        margins={} if first else guards,
        weeks=weeks_since_promotion,
        stability=_stability(holdout.labelled(), replay, threshold, first=first),
        requests=len(replay),
        first=first,
    )
    return _judgement(case, evidence_digest)


def gate_kind(*, champion: datetime | None, challenger: datetime, gate: GatePolicy) -> GateKind:
    """Refresh where the challenger saw enough newer data, or where there is no champion yet; else strict."""
    if champion is None or challenger - champion >= gate.newer_data:
        return GateKind.REFRESH
    return GateKind.STRICT


@dataclass(frozen=True)
class _Case:
    """All that the verdict rests on."""

    holdout: Sample
    replayed: Sample
    gate: GatePolicy
    kind: GateKind
    margins: dict[str, float]
    weeks: float | None
    stability: dict[str, float]
    requests: int
    """Replayed requests, with a label or without."""
    first: bool
    """There is no champion yet."""


def _judgement(case: _Case, evidence_digest: str) -> Judgement:
    found = sorted(_findings(case), key=lambda f: f.verdict is not Verdict.REGRESS)
    verdict = found[0].verdict if found else Verdict.PROMOTE
    failed = tuple(f.reason for f in found)
    return Judgement(
        verdict=verdict,
        kind=case.kind,
        sentence=sentence(verdict=verdict, sample=case.holdout, gate=case.gate, failed=failed),
        reasons=(*failed, *_notes(case)),
        primary=case.gate.primary,
        t=case.holdout.t,
        relative_gain=case.holdout.relative("log_loss"),
        rows=len(case.holdout.rows),
        days=case.holdout.days,
        comparisons=case.holdout.comparisons(case.margins),
        replay=() if case.replayed.shortfalls else case.replayed.comparisons(case.margins),
        stability=case.stability,
        evidence=evidence_digest,
        policy=case.gate,
    )


def _findings(case: _Case) -> Iterator[Finding]:
    """Every condition that did not hold; where the sample is too small, only that."""
    if case.holdout.shortfalls:
        yield from (Finding(Verdict.INCONCLUSIVE, reason) for reason in case.holdout.shortfalls)
        return
    yield from findings.on_primary(case.holdout, case.gate, case.kind)
    yield from findings.on_urgency(case.holdout, case.gate, case.kind, case.weeks)
    yield from findings.on_guards(case.holdout, case.margins, case.gate.alpha)
    yield from findings.on_replay(case.replayed, case.holdout, case.gate, case.margins)
    yield from findings.on_shift(case.stability, case.requests, case.gate)


def _notes(case: _Case) -> Iterator[str]:
    """What was not looked at: missing evidence is said, never counted as passed."""
    if case.first:
        yield "There is no champion yet: the challenger was held against the constant base rate, and no guard was applied."
    if not case.requests:
        yield "No live request was replayed, so the comparison rests on the holdout alone."
    elif case.replayed.shortfalls:
        yield f"Live requests were replayed, but not compared by label: {' '.join(case.replayed.shortfalls)}"
    if case.requests and "replay_score_shift" in case.stability and case.requests < case.gate.min_rows:
        yield f"The score shift is reported only: {case.requests:,} replayed requests of at least {case.gate.min_rows:,}."


def _guards(gate: GatePolicy) -> dict[str, float]:
    """Margins by metric; those of other tasks than this one guard nothing."""
    return {name: margin for name, margin in gate.margins.items() if name != gate.primary and name in HIGHER_IS_BETTER}


def _stability(labelled: PairedScores, replay: PairedScores, threshold: float, *, first: bool) -> dict[str, float]:
    """Churn on the holdout, and how differently replayed requests would have been answered. What is missing is left out."""
    found: dict[str, float] = {}
    if first:
        return found
    if len(labelled):
        harmful, beneficial = metrics.flips(labelled.label, labelled.champion, labelled.challenger, threshold)
        found |= {"harmful_flips": harmful, "beneficial_flips": beneficial}
    if len(replay):
        found["replay_disagreement"] = metrics.disagreement(replay.champion, replay.challenger, threshold)
        found["replay_score_shift"] = metrics.score_shift(replay.champion, replay.challenger)
    return found
