"""How much changes for whoever uses the scores: churn, shifted scores, and what unlabelled rows promise."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from contracts.comparison import Estimate
from contracts.training import Task
from policies import metrics
from policies.metrics import Floats
from policies.paired import PairedScores
from policies.sample import Sample

_TINY = 1e-12


def stability(*, sample: Sample, holdout: PairedScores, replay: PairedScores, threshold: float, noise: float) -> dict[str, float]:
    """Churn on the labelled rows; disagreement and score shift on every row of holdout and replay. What is missing is left out.

    `noise` is the share of the champion's RMSE by which a regression's error has to change to count.
    """
    found: dict[str, float] = {}
    if len(sample.rows):
        harmful, beneficial = flips(sample.rows, threshold, noise)
        found |= {"harmful_flips": harmful, "beneficial_flips": beneficial}
    for part, scores in (("holdout", holdout), ("replay", replay)):
        if len(scores):
            found[f"{part}_disagreement"] = disagreement(scores.champion, scores.challenger, threshold, scores.task, noise)
            found[f"{part}_score_shift"] = score_shift(scores.champion, scores.challenger)
    return found


def flips(rows: PairedScores, threshold: float, noise: float) -> tuple[float, float]:
    """Shares of rows that got (worse, better): decided wrongly or rightly, or with an error that changed beyond the noise."""
    if rows.task is Task.BINARY:
        return metrics.flips(rows.label, rows.champion, rows.challenger, threshold)
    if rows.task is Task.MULTICLASS:
        before, after = (np.argmax(score, axis=1) == rows.label for score in (rows.champion, rows.challenger))
        return float(np.mean(before & ~after)), float(np.mean(~before & after))
    change = np.abs(rows.challenger - rows.label) - np.abs(rows.champion - rows.label)
    least = noise * float(np.sqrt(np.mean((rows.champion - rows.label) ** 2))) + _TINY * float(np.abs(rows.label).max())
    return float(np.mean(change > least)), float(np.mean(change < -least))


def disagreement(champion: Floats, challenger: Floats, threshold: float, task: Task, noise: float) -> float:
    """Share of rows answered differently; numbers differ beyond `noise` times the standard deviation of the champion's."""
    if task is Task.BINARY:
        return metrics.disagreement(champion, challenger, threshold)
    if task is Task.MULTICLASS:
        return float(np.mean(np.argmax(champion, axis=1) != np.argmax(challenger, axis=1)))
    least = noise * float(np.sort(champion).std()) + _TINY * float(np.abs(champion).max())
    return float(np.mean(np.abs(challenger - champion) > least))


def score_shift(champion: Floats, challenger: Floats) -> float:
    """Stability index on the champion's bins; of many classes the largest."""
    if champion.ndim == 1:
        return metrics.score_shift(champion, challenger)
    return max(metrics.score_shift(champion[:, k], challenger[:, k]) for k in range(champion.shape[1]))


def estimates(part: Literal["holdout", "replay"], scores: PairedScores, threshold: float) -> Iterator[Estimate]:
    """Accuracy and log loss that calibrated scores would have on the rows without a label; a number promises nothing."""
    missing = scores.chosen(np.isnan(scores.label))
    if not len(missing) or missing.task is Task.REGRESSION:
        return
    told = [_promised(score, threshold) for score in (missing.champion, missing.challenger)]
    for metric, champion, challenger in zip(("accuracy", "log_loss"), *told, strict=True):
        yield Estimate(metric=metric, part=part, rows=len(missing), champion=champion, challenger=challenger)


def _promised(score: Floats, threshold: float) -> tuple[float, float]:
    """Expected accuracy and log loss; sorted before summing, so that the order of rows doesn't matter."""
    classes = score if score.ndim > 1 else np.stack([1 - score, score], axis=1)
    decided = score.max(axis=1) if score.ndim > 1 else np.where(score >= threshold, score, 1 - score)
    sure = np.clip(classes, _TINY, 1.0)
    return float(np.sort(decided).mean()), float(np.sort(-(classes * np.log(sure)).sum(axis=1)).mean())
