"""Metrics of one arm, by the same functions as the gate's."""

import numpy as np

from contracts.training import Task
from learning.rows import Floats
from policies.families import FAMILIES
from policies.model_sums import model_sums

SHOWN: dict[Task, tuple[str, ...]] = {
    Task.BINARY: ("log_loss", "brier", "accuracy", "recall", "auc"),
    Task.MULTICLASS: ("log_loss", "brier", "accuracy", "macro_recall", "macro_auc"),
    Task.REGRESSION: ("rmse", "absolute_error", "squared_error", "bias", "explained"),
}
"""What a backtest tells of an arm, the first one first."""
ALSO_CALLED = {"absolute_error": "mae"}
"""Names under which people look for a metric."""


def arm_metrics(label: Floats, score: Floats, task: Task, threshold: float) -> dict[str, float]:
    """Every metric of SHOWN on rows with a label, at least one."""
    sums = model_sums(task, label, score, np.zeros(len(label), dtype=np.int64), threshold)
    return {name: float(sums.point[name]) for name in SHOWN[task]}


def lower_is_better(task: Task, name: str) -> bool:
    return not FAMILIES[task].higher_is_better[name]
