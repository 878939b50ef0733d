"""What the gate wants of a comparison, reckoned before anything is looked at but the number of blocks."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.evaluation import PROPER_SCORES, GateKind, GatePolicy
from contracts.training import Task
from policies.bootstrap import least_t


@dataclass(frozen=True)
class Demands:
    """The least effect and the least t."""

    kind: GateKind
    family: int
    """Strict comparisons among which this one was picked."""
    gains: Mapping[str, float]
    """Least relative gain by proper score."""
    t: float


def demands(*, gate: GatePolicy, kind: GateKind, task: Task, blocks: int, family: int) -> Demands:
    """The strict gate divides the chance that its t allows by the size of the family; a refresh rests on newer data instead.

    Raises ValueError for an empty family.
    """
    if family < 1:
        raise ValueError(f"a family has at least one comparison; found {family}")
    wanted = gate.refresh if kind is GateKind.REFRESH else gate.strict
    first, second = PROPER_SCORES[task]
    gains = dict.fromkeys((first, second), wanted.log_loss_gain)
    if task is not Task.REGRESSION:
        gains[second] = wanted.brier_gain
    corrected = family if kind is GateKind.STRICT else 1
    return Demands(kind, corrected, gains, least_t(wanted.t, blocks, corrected) if blocks > 1 else wanted.t)
