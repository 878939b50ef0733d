"""What the loop measures about a model's answers: plain functions of two arrays.

Unless it says otherwise `label` is 0 or 1, shape (n,), and `score` a probability of label 1, shape (n,), n >= 1, without NaN.
Whoever calls drops unlabelled rows first. Every function is defined for constant scores and for one class.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CLIP = 1e-6
"""A certain and wrong answer costs 13.8 nats, not infinity."""
BINS = 10


def accuracy(label: Floats, score: Floats, threshold: float) -> float:
    """Share of rows decided rightly, in [0, 1], higher is better. A score of exactly `threshold` says 1."""
    return float(np.mean((score >= threshold) == (label == 1)))


def recall(label: Floats, score: Floats, threshold: float) -> float:
    """Share of the positives that were found, in [0, 1], higher is better; 0 where there is no positive."""
    positive = label == 1
    return float(np.mean(score[positive] >= threshold)) if positive.any() else 0.0


def row_brier(label: Floats, score: Floats) -> Floats:
    """Squared error of each row, shape (n,), in [0, 1]."""
    return (score - label) ** 2


def row_log_loss(label: Floats, score: Floats) -> Floats:
    """Minus log-likelihood of each row in nats, shape (n,), in [0, 13.9]; scores are clipped to [1e-6, 1 - 1e-6]."""
    sure = np.clip(score, _CLIP, 1 - _CLIP)
    return -np.log(np.where(label == 1, sure, 1 - sure))


def row_class_log_loss(label: Floats, score: Floats) -> Floats:
    """Minus log of the true class's probability, shape (n,); `label` is a class number, `score` has shape (n, k)."""
    return -np.log(np.clip(_of_label(label, score), _CLIP, 1 - _CLIP))


def row_class_brier(label: Floats, score: Floats) -> Floats:
    """Squared distance between the k probabilities and the truth, shape (n,), in [0, 2]; arguments as above."""
    told = _of_label(label, score)
    return np.asarray(np.einsum("nk,nk->n", score, score) - 2 * told + 1)


def _of_label(label: Floats, score: Floats) -> Floats:
    return np.take_along_axis(score, label.astype(np.int64)[:, None], axis=1)[:, 0]


def row_squared_error(label: Floats, score: Floats) -> Floats:
    """Squared error of a predicted number, shape (n,)."""
    return (score - label) ** 2


def row_absolute_error(label: Floats, score: Floats) -> Floats:
    """Absolute error of a predicted number, shape (n,)."""
    return np.abs(score - label)


def brier(label: Floats, score: Floats) -> float:
    """Mean squared error of the probability, in [0, 1], lower is better."""
    return float(np.mean(row_brier(label, score)))


def log_loss(label: Floats, score: Floats) -> float:
    """Mean minus log-likelihood in nats, in [0, 13.9], lower is better."""
    return float(np.mean(row_log_loss(label, score)))


def auc(label: Floats, score: Floats) -> float:
    """Chance that a positive scores above a negative, ties counting half, in [0, 1], higher is better; .5 for one class."""
    positive = label == 1
    found, others = int(positive.sum()), int((~positive).sum())
    if not found or not others:
        return 0.5
    _, rank_of, count = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2
    rank_sum = float(middle[rank_of][positive].sum())
    return (rank_sum - found * (found + 1) / 2) / (found * others)


def calibration_error(label: Floats, score: Floats) -> float:
    """Expected calibration error over 10 bins of equal count, in [0, 1], lower is better.

    Equal scores share a bin, so the figure does not depend on the order of the rows.
    """
    bin_of = calibration_bins(score)
    gap = np.bincount(bin_of, weights=score - label, minlength=BINS)
    return float(np.abs(gap).sum() / len(label))


def calibration_bins(score: Floats) -> NDArray[np.intp]:
    """Bin 0 to 9 of each row, shape (n,), by deciles of `score`."""
    edges = np.quantile(score, np.arange(1, BINS) / BINS)
    return np.searchsorted(edges, score, side="right")


def score_shift(reference: Floats, other: Floats) -> float:
    """Population stability index of `other` against `reference`, at least 0; 0 means the same distribution.

    Bins are the deciles of `reference`; each count gets half a row more, so that an empty bin stays finite.
    The two samples may differ in length. Above .25 the distribution is usually called changed.
    """
    edges = np.unique(np.quantile(reference, np.arange(1, BINS) / BINS))
    expected, found = _shares(reference, edges), _shares(other, edges)
    return float(np.sum((found - expected) * np.log(found / expected)))


def _shares(score: Floats, edges: Floats) -> Floats:
    count = np.bincount(np.searchsorted(edges, score, side="right"), minlength=len(edges) + 1) + 0.5
    shares: Floats = count / count.sum()
    return shares


def flips(label: Floats, champion: Floats, challenger: Floats, threshold: float) -> tuple[float, float]:
    """Shares of rows, each in [0, 1], that the challenger newly gets (wrong, right): harmful and beneficial churn."""
    before = (champion >= threshold) == (label == 1)
    after = (challenger >= threshold) == (label == 1)
    return float(np.mean(before & ~after)), float(np.mean(~before & after))


def disagreement(champion: Floats, challenger: Floats, threshold: float) -> float:
    """Share of rows decided differently, in [0, 1]; no labels are needed."""
    return float(np.mean((champion >= threshold) != (challenger >= threshold)))
