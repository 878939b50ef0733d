"""How the members of a blend become one score: the mean of what they say, a shift, and the link of the task."""

from collections.abc import Sequence

import numpy as np

from contracts.training import Task
from policies.metrics import Floats

LIMIT = 7.0
"""A member never says less than 0.0009 or more than 0.9991, so that none can drown the others."""


def blend(margins: Sequence[Floats], *, task: Task, shift: Floats) -> Floats:
    """Scores: probabilities of label 1 (n,), of each class (n, K), or numbers (n,).

    `margins` are the members' log-odds (n,), log-probabilities (n, K) or numbers (n,), at least one member;
    `shift` has one number, or K for a multiclass task, and is added before the link.
    """
    return linked(blended_margin(margins, task=task) + shift, task=task)


def blended_margin(margins: Sequence[Floats], *, task: Task) -> Floats:
    """The mean of the clipped margins, shape of one of them; a regression's numbers are not clipped.

    Summed in the order of the members, one after the other, so that the last bit is the same everywhere.
    """
    total = clipped(margins[0], task=task).copy()
    for margin in margins[1:]:
        total += clipped(margin, task=task)
    return np.asarray(total / len(margins), dtype=np.float64)


def clipped(margin: Floats, *, task: Task) -> Floats:
    """Within the limit: +-7 log-odds; log-probabilities of at least -7."""
    if task is Task.REGRESSION:
        return margin
    return np.asarray(np.clip(margin, -LIMIT, LIMIT if task is Task.BINARY else 0.0), dtype=np.float64)


def linked(margin: Floats, *, task: Task) -> Floats:
    """From margins to scores: sigmoid, softmax, or as they are."""
    if task is Task.REGRESSION:
        return margin
    if task is Task.BINARY:
        return np.asarray(1.0 / (1.0 + np.exp(-margin)), dtype=np.float64)
    odds = np.exp(margin - margin.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float64)
