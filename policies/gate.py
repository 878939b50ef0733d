"""The gate: may the challenger take the champion's place?

One primary metric, declared beforehand and a proper score, has to be better by a least effect; the others are guards
that may not be worse by more than their margin. 'Any of several metrics better' would multiply the chances of a lucky
rival. Rows are paired and days are the blocks (`policies/bootstrap.py`). Slices are tested together (`policies/slices.py`),
and a strict rival that is the best of several, or not the first, is held to Holm's share of chance (`family`).

A guard is held on its point estimate unless the policy says `guards: proven`: a proof of 'not worse by more than the margin'
needs rows that a small endpoint does not have (`policies/findings.py` has the figures).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from contracts.comparison import Estimate
from contracts.evaluation import GateKind, GatePolicy, Judgement, Rule, Verdict
from policies import findings
from policies.chance import student_tail
from policies.demands import Demands, demands
from policies.findings import Finding
from policies.paired import PairedScores
from policies.power import power_shown
from policies.sample import Sample
from policies.slices import SliceFindings, Values, compare_slices
from policies.stability import estimates, stability
from policies.unanimity import objections
from policies.verdict_words import BASELINES, sentence


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
    slices: Mapping[str, Values] | None = None,
    family: int = 1,
) -> Judgement:
    """The verdict on rows that neither model was trained on. The same input gives the same judgement, to the last bit.

    The task is that of `holdout`. `slices` holds a value per row of it, by feature. `family` counts the comparisons at the
    strict gate (rivals times looks) of which this is the best one.

    Without a champion (`champion_trained_through` None) the champion's scores are a constant (`BASELINES`), and guards
    and slices are reported but not held: nothing in service can get worse. Raises ValueError where holdout and replay are
    of different tasks, where a slice has another length, and for a primary metric that the task doesn't have.
    """
    if len(replay) and replay.task is not holdout.task:
        raise ValueError(f"the holdout is of a {holdout.task} task, the replay of a {replay.task} one")
    first = champion_trained_through is None
    sample, replayed = Sample(holdout, gate, threshold), Sample(replay, _for(replay, gate), threshold)
    kind = gate_kind(champion=champion_trained_through, challenger=challenger_trained_through, gate=gate)
    case = _Case(
        holdout=sample,
        replayed=replayed,
        gate=gate,
        demands=demands(gate=gate, kind=kind, task=holdout.task, blocks=sample.mean.effective, family=family),
        margins={} if first else sample.margins(gate),
        weeks=weeks_since_promotion,
        stability={}
        if first
        else stability(sample=sample, holdout=holdout, replay=replay, threshold=threshold, noise=gate.churn_noise),
        slices=compare_slices(sample=sample, slices=slices or {}, gate=gate),
        requests=len(replay),
        first=first,
        unlabelled=int(np.isnan(holdout.label).sum()),
        estimates=() if first else (*estimates("holdout", holdout, threshold), *estimates("replay", replay, threshold)),
    )
    return _judgement(case, evidence_digest)


def _for(replay: PairedScores, gate: GatePolicy) -> GatePolicy:
    """An empty replay is of no task in particular, so it can't ask for a task's primary metric."""
    return gate if len(replay) else gate.model_copy(update={"primary": GatePolicy().primary})


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
    demands: Demands
    margins: dict[str, float]
    weeks: float | None
    slices: SliceFindings
    requests: int
    """Replayed requests, with a label or without."""
    first: bool
    """There is no champion yet."""
    unlabelled: int
    estimates: tuple[Estimate, ...]
    stability: dict[str, float]

    @property
    def least_relative(self) -> float:
        """The relative gain in the primary that least effect and urgency ask for."""
        least = self.demands.gains[self.holdout.primary_name]
        if self.demands.kind is GateKind.STRICT or self.weeks is None or self.weeks <= 0:
            return least
        return max(least, self.gate.urgency / self.weeks)


def _judgement(case: _Case, evidence_digest: str) -> Judgement:
    sample = case.holdout
    found = sorted(_findings(case), key=lambda f: f.verdict is not Verdict.REGRESS)
    verdict = found[0].verdict if found else Verdict.PROMOTE
    failed = tuple(f.reason for f in found)
    return Judgement(
        verdict=verdict,
        kind=case.demands.kind,
        sentence=sentence(verdict=verdict, sample=sample, gate=case.gate, failed=failed),
        reasons=(*failed, *_notes(case)),
        primary=sample.primary_name,
        t=sample.t,
        relative_gain=sample.size,
        rows=len(sample.rows),
        days=sample.days,
        comparisons=sample.comparisons(case.margins),
        replay=()
        if case.replayed.shortfalls
        else case.replayed.comparisons({} if case.first else case.replayed.margins(case.gate)),
        stability=case.stability,
        evidence=evidence_digest,
        policy=case.gate,
        task=sample.family.task,
        least_t=case.demands.t if sample.found else None,
        p=student_tail(sample.t, sample.mean.effective - 1) if sample.found else None,
        family=case.demands.family,
        weekly=sample.weekly(),
        weeks=sample.weeks,
        effective_blocks=sample.mean.effective,
        slices=case.slices.listed,
        slices_unlisted=case.slices.unlisted,
        slices_not_evaluable=case.slices.not_evaluable,
        worst_slice_low=case.slices.worst_low,
        slice_margin=case.slices.margin,
        power=power_shown(sample=sample, gate=case.gate, least_t=case.demands.t, least_relative=case.least_relative),
        estimates=case.estimates,
        unlabelled=case.unlabelled,
    )


def _findings(case: _Case) -> Iterator[Finding]:
    """Every condition that did not hold; where the sample is too small, only that."""
    if case.holdout.shortfalls:
        yield from (Finding(Verdict.INCONCLUSIVE, reason) for reason in case.holdout.shortfalls)
        return
    yield from findings.on_primary(case.holdout, case.gate, case.demands)
    yield from findings.on_urgency(case.holdout, case.gate, case.demands.kind, case.weeks)
    yield from findings.on_guards(case.holdout, case.margins, case.gate)
    yield from findings.on_replay(case.replayed, case.holdout, case.gate, case.margins)
    yield from findings.on_shift(case.stability, case.requests, case.gate)
    if case.first:
        return
    yield from findings.on_slices(case.slices)
    if case.gate.rule is Rule.ALL_BETTER:
        yield from findings.on_rule(objections(sample=case.holdout, stability=case.stability, gate=case.gate))


def _notes(case: _Case) -> Iterator[str]:
    """What was not looked at: missing evidence is said, never counted as passed."""
    if case.first:
        stand_in = BASELINES[case.holdout.family.task]
        yield f"There is no champion yet: the challenger was held against the constant {stand_in}, and no guard was applied."
    if not case.requests:
        yield "No live request was replayed, so the comparison rests on the holdout alone."
    elif case.replayed.shortfalls:
        yield f"Live requests were replayed, but not compared by label: {' '.join(case.replayed.shortfalls)}"
    if case.requests and "replay_score_shift" in case.stability and case.requests < case.gate.min_rows:
        yield f"The score shift is reported only: {case.requests:,} replayed requests of at least {case.gate.min_rows:,}."
    if case.gate.dry:
        yield f"Run dry, reported and not deciding: {', '.join(case.gate.dry)}."
    if case.slices.not_evaluable:
        yield f"{case.slices.not_evaluable:,} slices are too small to be judged; they are listed as not evaluable."
