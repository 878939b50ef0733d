"""The gate's conditions, one function each: every condition that does not hold yields a finding with its numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contracts.evaluation import PROPER_SCORES, GateKind, GatePolicy, Verdict
from policies.bootstrap import Gain
from policies.chance import holm, student_quantile, student_tail
from policies.demands import Demands
from policies.sample import Sample, within
from policies.slices import SliceFindings
from policies.verdict_words import NAMES, against, interval, number, percent

_EVEN = 0.75
"""Below this share of its blocks a sample's effective number of them is told."""


@dataclass(frozen=True)
class Finding:
    """One condition that did not hold, and what it makes of the verdict."""

    verdict: Verdict
    reason: str


def _doubt(reason: str) -> Finding:
    return Finding(Verdict.INCONCLUSIVE, reason)


def _worse(reason: str) -> Finding:
    return Finding(Verdict.REGRESS, reason)


def on_primary(sample: Sample, gate: GatePolicy, demands: Demands) -> Iterator[Finding]:
    """The burden of proof: a least gain in the proper scores, and a least t of the primary."""
    primary, name = sample.primary, NAMES[sample.primary_name]
    if primary.high < -primary.rounding:
        yield _worse(f"The challenger's {name} is worse beyond chance (gain's {interval(primary, gate.alpha)}).")
    elif primary.gain <= primary.rounding:
        yield _doubt(f"The challenger's {name} is not better: {against(sample.primary_name, primary)}.")
    else:
        yield from _on_size(sample, gate, demands)


def _on_size(sample: Sample, gate: GatePolicy, demands: Demands) -> Iterator[Finding]:
    """Better, but by enough and in every block?"""
    for metric in sample.family.sizes(gate):
        relative, least = sample.relative(metric), demands.gains[metric]
        if relative < least:
            yield _doubt(
                f"The gain in {NAMES[metric]} is {percent(relative)} of the champion's; "
                f"the {demands.kind} gate wants {percent(least)}."
            )
    if sample.t < demands.t:
        among = f" as one of {demands.family} comparisons" if demands.family > 1 else ""
        yield _doubt(
            f"The gain in {NAMES[sample.primary_name]} is not steady from {gate.block} to {gate.block}: t {sample.t:.2f}, "
            f"the {demands.kind} gate wants {demands.t:.2f} on {sample.mean.blocks} {gate.block}s{_uneven(sample)}{among}."
        )


def _uneven(sample: Sample) -> str:
    """A day with most of the rows makes the others count for little."""
    mean = sample.mean
    return f" that count as {mean.effective}, so uneven are they" if mean.effective <= mean.blocks * _EVEN else ""


def on_urgency(sample: Sample, gate: GatePolicy, kind: GateKind, weeks: float | None) -> Iterator[Finding]:
    """A refresh soon after the last one has to gain more: each change of model has a price of its own."""
    relative = sample.size
    if kind is GateKind.STRICT or weeks is None or relative <= 0:
        return
    urgency = relative * max(weeks, 0.0)
    if urgency < gate.urgency:
        yield _doubt(
            f"The gain is too small so soon after the last promotion: {percent(relative)} in "
            f"{NAMES[PROPER_SCORES[sample.family.task][0]]} times {weeks:.1f} weeks is {number(urgency)}, "
            f"the gate wants {number(gate.urgency)}."
        )


def on_guards(sample: Sample, margins: Mapping[str, float], gate: GatePolicy) -> Iterator[Finding]:
    """No guard may be worse by more than its margin: by its point estimate, or `proven` by its whole interval.

    The point is the default: a proof of 'not worse by more than two points' needs a whole interval above minus two points, and
    on 336 rows that interval is about eight points wide (`python -m bench.gate_power` prints what it costs). The primary carries
    the burden of proof; a guard catches the trade that the primary does not see. That a guard is worse *beyond chance* is said
    only after Holm's correction over all guards.
    """
    proven = _proven_harm(sample, margins, gate.alpha)
    for metric, margin in margins.items():
        gain = sample.found[metric]
        figures = f"{against(metric, gain)}, margin {number(margin)}, gain's {interval(gain, gate.alpha)}"
        if metric in proven:
            yield _worse(f"The challenger's {NAMES[metric]} is worse by more than its margin beyond chance: {figures}.")
        elif not within(gain.gain, gain, margin):
            yield _doubt(f"The challenger's {NAMES[metric]} is worse by more than its margin: {figures}.")
        elif gate.guards == "proven" and not within(gain.low, gain, margin):
            yield _doubt(f"It is not proven that the challenger's {NAMES[metric]} is no worse than its margin: {figures}.")


def _proven_harm(sample: Sample, margins: Mapping[str, float], alpha: float) -> frozenset[str]:
    """Guards that are worse by more than their margin beyond chance, corrected by Holm for their number."""
    chances = holm([_harm(sample.found[metric], margin, alpha, sample.mean.effective - 1) for metric, margin in margins.items()])
    return frozenset(metric for metric, chance in zip(margins, chances, strict=True) if chance <= alpha / 2)


def _harm(gain: Gain, margin: float, alpha: float, freedom: int) -> float:
    """Chance of so low a gain at exactly the margin, by Student's t with the width of the drawn interval."""
    error = (gain.high - gain.low) / 2 / student_quantile(alpha / 2, freedom)
    excess = -(gain.gain + margin)
    if error <= abs(excess) * 1e-9:
        return float(excess <= gain.rounding)
    return student_tail(excess / error, freedom)


def on_slices(found: SliceFindings) -> Iterator[Finding]:
    """A slice that is harmed beyond chance is a trade that a person has to make."""
    for harmed in found.harmed[:3]:
        yield _doubt(
            f"The challenger harms the slice {harmed.feature} = {harmed.value}: {number(harmed.challenger)} against "
            f"{number(harmed.champion)} on {harmed.rows:,} rows, worse by more than {number(found.margin or 0)} beyond chance."
        )
    if len(found.harmed) > 3:  # noqa: PLR2004 - the three worst are named
        yield _doubt(f"It harms {len(found.harmed) - 3} more slices in the same way.")


def on_replay(replayed: Sample, held_out: Sample, gate: GatePolicy, guarded: Mapping[str, float]) -> Iterator[Finding]:
    """Live requests may contradict the holdout, not replace it: only what is beyond chance counts here.

    Where the holdout is not better either, a contradiction is a regress; else the evidence disagrees and a person decides.
    """
    if replayed.shortfalls or not replayed.found:
        return
    finding = _doubt if held_out.primary.gain > held_out.primary.rounding else _worse
    primary, name = replayed.primary, replayed.primary_name
    if primary.high < -primary.rounding:
        yield finding(
            f"On replayed live requests the challenger's {NAMES[name]} is worse beyond chance: "
            f"{against(name, primary)}, gain's {interval(primary, gate.alpha)}."
        )
    margins = {metric: margin for metric, margin in replayed.margins(gate).items() if metric in guarded}
    proven = _proven_harm(replayed, margins, gate.alpha)
    for metric in (m for m in margins if m in proven):
        yield finding(
            f"On replayed live requests the challenger's {NAMES[metric]} is worse by more than its margin beyond chance: "
            f"{against(metric, replayed.found[metric])}, margin {number(margins[metric])}."
        )


def on_shift(stability: Mapping[str, float], rows: int, gate: GatePolicy) -> Iterator[Finding]:
    """Scores of another shape break whoever uses the score itself; on a handful of requests the index is noise."""
    shift = stability.get("replay_score_shift")
    if shift is not None and rows >= gate.min_rows and shift > gate.max_score_shift:
        yield _doubt(
            f"The challenger's scores on {rows:,} replayed requests are distributed otherwise: "
            f"stability index {number(shift)}, at most {number(gate.max_score_shift)}."
        )


def on_rule(objections: Iterator[str]) -> Iterator[Finding]:
    """What a stricter rule than the primary misses."""
    yield from (_doubt(objection) for objection in objections)
