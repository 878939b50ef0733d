"""The gate's conditions, one function each: every condition that does not hold yields a finding with its numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contracts.evaluation import GateKind, GatePolicy, Verdict
from policies.bootstrap import HIGHER_IS_BETTER, least_t
from policies.sample import Sample, within
from policies.verdict_words import NAMES, against, interval, number, percent

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Finding:
    """One condition that did not hold, and what it makes of the verdict."""

    verdict: Verdict
    reason: str


def _doubt(reason: str) -> Finding:
    return Finding(Verdict.INCONCLUSIVE, reason)


def _worse(reason: str) -> Finding:
    return Finding(Verdict.REGRESS, reason)


def on_primary(sample: Sample, gate: GatePolicy, kind: GateKind) -> Iterator[Finding]:
    """The burden of proof: a least gain in both proper scores, and a least t of the primary."""
    primary, name = sample.primary, NAMES[gate.primary]
    if primary.high < -_ROUNDING:
        yield _worse(f"The challenger's {name} is worse beyond chance (gain's {interval(primary, gate.alpha)}).")
    elif primary.gain <= _ROUNDING:
        yield _doubt(f"The challenger's {name} is not better: {against(gate.primary, primary)}.")
    else:
        yield from _on_size(sample, gate, kind)


def _on_size(sample: Sample, gate: GatePolicy, kind: GateKind) -> Iterator[Finding]:
    """Better, but by enough and every day?"""
    wanted = gate.refresh if kind is GateKind.REFRESH else gate.strict
    for metric, least in (("log_loss", wanted.log_loss_gain), ("brier", wanted.brier_gain)):
        relative = sample.relative(metric)
        if relative < least:
            yield _doubt(
                f"The gain in {NAMES[metric]} is {percent(relative)} of the champion's; the {kind} gate wants {percent(least)}."
            )
    least = least_t(wanted.t, sample.days)
    if sample.t < least:
        yield _doubt(
            f"The gain in {NAMES[gate.primary]} is not steady from day to day: t {sample.t:.2f}, "
            f"the {kind} gate wants {least:.2f} on {sample.days} days."
        )


def on_urgency(sample: Sample, gate: GatePolicy, kind: GateKind, weeks: float | None) -> Iterator[Finding]:
    """A refresh soon after the last one has to gain more: each change of model has a price of its own."""
    relative = sample.relative("log_loss")
    if kind is GateKind.STRICT or weeks is None or relative <= 0:
        return
    urgency = relative * max(weeks, 0.0)
    if urgency < gate.urgency:
        yield _doubt(
            f"The gain is too small so soon after the last promotion: {percent(relative)} in log loss times "
            f"{weeks:.1f} weeks is {number(urgency)}, the gate wants {number(gate.urgency)}."
        )


def on_guards(sample: Sample, margins: Mapping[str, float], alpha: float) -> Iterator[Finding]:
    """No guard may be worse by more than its margin; held on the point estimate.

    A proof of 'not worse by more than two points' needs a whole interval above minus two points, and on 336 rows that
    interval is about eight points wide. Measured on the hourly bikes, demanding it would hold back a third of the better
    refreshes (46 % of looks promoted, 31 % with proof; `python -m bench.gate_null`) and hardly a worse one. The primary
    carries the burden of proof; a guard catches the trade that the primary does not see.
    """
    for metric in (m for m in HIGHER_IS_BETTER if m in margins):
        gain, margin = sample.found[metric], margins[metric]
        figures = f"{against(metric, gain)}, margin {number(margin)}, gain's {interval(gain, alpha)}"
        if gain.high < -margin - _ROUNDING:
            yield _worse(f"The challenger's {NAMES[metric]} is worse by more than its margin beyond chance: {figures}.")
        elif not within(gain, margin):
            yield _doubt(f"The challenger's {NAMES[metric]} is worse by more than its margin: {figures}.")


def on_replay(replayed: Sample, held_out: Sample, gate: GatePolicy, margins: Mapping[str, float]) -> Iterator[Finding]:
    """Live requests may contradict the holdout, not replace it: only what is beyond chance counts here.

    Where the holdout is not better either, a contradiction is a regress; else the evidence disagrees and a person decides.
    """
    if replayed.shortfalls:
        return
    finding = _doubt if held_out.primary.gain > _ROUNDING else _worse
    primary = replayed.primary
    if primary.high < -_ROUNDING:
        yield finding(
            f"On replayed live requests the challenger's {NAMES[gate.primary]} is worse beyond chance: "
            f"{against(gate.primary, primary)}, gain's {interval(primary, gate.alpha)}."
        )
    for metric in (m for m in HIGHER_IS_BETTER if m in margins):
        gain = replayed.found[metric]
        if gain.high < -margins[metric] - _ROUNDING:
            yield finding(
                f"On replayed live requests the challenger's {NAMES[metric]} is worse by more than its margin beyond chance: "
                f"{against(metric, gain)}, margin {number(margins[metric])}."
            )


def on_shift(stability: Mapping[str, float], rows: int, gate: GatePolicy) -> Iterator[Finding]:
    """Scores of another shape break whoever uses the score itself; on a handful of requests the index is noise."""
    shift = stability.get("replay_score_shift")
    if shift is not None and rows >= gate.min_rows and shift > gate.max_score_shift:
        yield _doubt(
            f"The challenger's scores on {rows:,} replayed requests are distributed otherwise: "
            f"stability index {number(shift)}, at most {number(gate.max_score_shift)}."
        )
