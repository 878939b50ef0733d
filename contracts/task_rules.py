"""What an endpoint's policy may say for its task, and what is wrong where it says something else."""

from collections.abc import Iterator, Mapping

from contracts.evaluation import PROPER_SCORES, GatePolicy
from contracts.rollout import ServingPolicy
from contracts.training import Task

_CLASSIFICATION = ("log_loss", "brier", "accuracy")
METRICS: Mapping[Task, tuple[str, ...]] = {
    Task.BINARY: (*_CLASSIFICATION, "recall", "auc", "calibration_error", "worst_day_log_loss"),
    Task.MULTICLASS: (*_CLASSIFICATION, "macro_recall", "macro_auc", "calibration_error", "worst_day_log_loss"),
    Task.REGRESSION: ("squared_error", "rmse", "absolute_error", "bias", "explained", "worst_day_squared_error"),
}
"""What the gate compares, in the order in which people read it."""


def misfits(task: Task, gate: GatePolicy, serving: ServingPolicy) -> Iterator[str]:
    """Every wish that the task can't fulfil, in words. What is left at its default is no wish."""
    proper, known, usual = PROPER_SCORES[task], METRICS[task], GatePolicy()
    if gate.primary not in (*proper, usual.primary):
        yield f"gate.primary of a {task.value} task is one of {', '.join(proper)}"
    wished = [name for name, margin in gate.margins.items() if usual.margins.get(name) != margin]
    for field, names in (("margins", wished), ("dry", gate.dry)):
        if strange := [str(name) for name in names if name not in known]:
            yield f"gate.{field} names {', '.join(strange)}; a {task.value} task is judged by {', '.join(known)}"
    if task is not Task.BINARY and serving.costs is not None:
        yield f"serving.costs make a threshold, and only a binary task has one; the task is {task.value}"
    elif task is not Task.BINARY and serving.threshold != ServingPolicy().threshold:
        yield f"serving.threshold belongs to a binary task; the task is {task.value}"
