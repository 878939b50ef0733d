"""How good an endpoint's live answers are, when that is bad enough to raise an alarm, and how bad it is."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from contracts.alarm import Reading, Severity
from contracts.monitor import MonitorPolicy
from contracts.training import Task
from policies import metrics as measures
from policies.metrics import Floats

_HIGH = 1.5
_CRITICAL = 2.5
"""From how many times the allowed loss on an alarm is high or critical."""
_CLIP = 1e-6
_LEAST = 1e-12
"""A reference without any error still allows this much."""


def measured(label: Floats, score: Floats, *, task: Task, threshold: float) -> dict[str, float]:
    """Every metric of the task that these rows define, n >= 1; scores as a scorer gives them, (n,) or (n, K)."""
    if task is Task.BINARY:
        return _binary(label, score, threshold)
    return _multiclass(label.astype(np.int64), score) if task is Task.MULTICLASS else _regression(score - label)


def allowed_losses(
    policy: MonitorPolicy, reference: Mapping[str, float] | None = None, task: Task = Task.BINARY
) -> dict[str, float]:
    """By how much each metric may be worse than its reference, signed: negative where lower is worse.

    A regression's losses are shares of what the reference errs, since nobody knows the unit of a label.
    """
    if task is Task.BINARY:
        drops = {"accuracy": -policy.accuracy_drop, "recall": -policy.recall_drop, "auc": -policy.auc_drop}
        return drops | {"brier": policy.brier_rise}
    if task is Task.MULTICLASS:
        drops = {"accuracy": -policy.accuracy_drop, "macro_recall": -policy.recall_drop}
        return {"log_loss": policy.log_loss_rise} | drops
    rise = {"rmse": ("rmse", policy.rmse_rise), "absolute_error": ("absolute_error", policy.absolute_error_rise)}
    rise["bias"] = ("rmse", policy.bias_rise)
    known = reference or {}
    return {name: max(known[of] * share, _LEAST) for name, (of, share) in rise.items() if of in known}


def crossed(
    *, metrics: Mapping[str, float], reference: Mapping[str, float], policy: MonitorPolicy, task: Task = Task.BINARY
) -> tuple[str, ...]:
    """Names of the metrics that are worse than their reference by more than the policy allows.

    A metric without a value or without a reference crosses nothing.
    """
    found = losses(metrics=metrics, reference=reference, policy=policy, task=task)
    return tuple(name for name, loss in found.items() if loss > 1.0)


def losses(
    *, metrics: Mapping[str, float], reference: Mapping[str, float], policy: MonitorPolicy, task: Task = Task.BINARY
) -> dict[str, float]:
    """How much worse each metric is, as a multiple of what the policy allows; negative where it is better."""
    return {
        name: round((metrics[name] - reference[name]) / allowed, 9)
        for name, allowed in allowed_losses(policy, reference, task).items()
        if name in metrics and name in reference
    }


def severity(
    *, metrics: Mapping[str, float], reference: Mapping[str, float], policy: MonitorPolicy, task: Task = Task.BINARY
) -> Severity:
    """How bad it is: by the metric that lies furthest beyond what is allowed."""
    worst = max(losses(metrics=metrics, reference=reference, policy=policy, task=task).values(), default=0.0)
    if worst <= 1.0:
        return Severity.LOW
    if worst < _HIGH:
        return Severity.MEDIUM
    return Severity.HIGH if worst < _CRITICAL else Severity.CRITICAL


def readings(
    *, metrics: Mapping[str, float], reference: Mapping[str, float], policy: MonitorPolicy, task: Task = Task.BINARY
) -> tuple[Reading, ...]:
    """Every metric with its reference and the threshold that it may not cross, for an alarm."""
    return tuple(
        Reading(name=name, value=metrics[name], reference=reference[name], threshold=reference[name] + allowed)
        for name, allowed in allowed_losses(policy, reference, task).items()
        if name in metrics and name in reference
    )


def _binary(label: Floats, score: Floats, threshold: float) -> dict[str, float]:
    """Recall and AUC need both classes."""
    found = {
        "accuracy": measures.accuracy(label, score, threshold),
        "brier": measures.brier(label, score),
        "log_loss": measures.log_loss(label, score),
    }
    if 0 < label.sum() < len(label):
        found |= {"recall": measures.recall(label, score, threshold), "auc": measures.auc(label, score)}
    return found


def _multiclass(label: NDArray[np.int64], score: Floats) -> dict[str, float]:
    """Macro recall is the mean over the classes that occur."""
    true = np.clip(score[np.arange(len(label)), label], _CLIP, 1 - _CLIP)
    right = score.argmax(axis=1) == label
    return {
        "log_loss": float(np.mean(-np.log(true))),
        "accuracy": float(np.mean(right)),
        "macro_recall": float(np.mean([np.mean(right[label == number]) for number in np.unique(label)])),
    }


def _regression(residual: Floats) -> dict[str, float]:
    """Bias without its sign, as the gate compares it."""
    return {
        "rmse": float(np.sqrt(np.mean(residual**2))),
        "absolute_error": float(np.mean(np.abs(residual))),
        "bias": float(abs(np.mean(residual))),
    }
