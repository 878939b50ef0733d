"""Which metrics a task is judged by, which of them may decide, and how a row's loss is reckoned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from contracts.evaluation import PROPER_SCORES, GatePolicy
from contracts.training import Task
from policies import metrics
from policies.metrics import Floats

RowLoss = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class Family:
    """The metrics of one task."""

    task: Task
    higher_is_better: Mapping[str, bool]
    """Every metric that the gate compares, in the order in which people read them."""
    row_loss: Mapping[str, RowLoss]
    """The proper scores, row by row."""
    shown: str
    """The metric that people know best: it stands in the verdict's sentence beside the primary."""
    calibration: str
    """Whether scores mean what they say ..."""
    worst: str
    """... and how bad the worst block of time is: both belong to stability."""

    def primary(self, gate: GatePolicy) -> str:
        """The declared proper score; a regression under the default policy takes the squared error.

        Raises ValueError where another task's score was declared.
        """
        proper = PROPER_SCORES[self.task]
        if gate.primary in proper:
            return gate.primary
        if gate.primary == GatePolicy().primary:
            return proper[0]
        raise ValueError(f"gate.primary is {gate.primary}, which a {self.task} task does not have; use {' or '.join(proper)}")

    def sizes(self, gate: GatePolicy) -> tuple[str, ...]:
        """Metrics that need a least gain: both proper scores of a classification, the primary of a regression."""
        wanted = (self.primary(gate),) if self.task is Task.REGRESSION else PROPER_SCORES[self.task]
        return tuple(name for name in wanted if name not in gate.dry)


_BINARY = Family(
    task=Task.BINARY,
    higher_is_better={
        "log_loss": False,
        "brier": False,
        "accuracy": True,
        "recall": True,
        "auc": True,
        "calibration_error": False,
        "worst_day_log_loss": False,
    },
    row_loss={"log_loss": metrics.row_log_loss, "brier": metrics.row_brier},
    shown="accuracy",
    calibration="calibration_error",
    worst="worst_day_log_loss",
)
_MULTICLASS = Family(
    task=Task.MULTICLASS,
    higher_is_better={
        "log_loss": False,
        "brier": False,
        "accuracy": True,
        "macro_recall": True,
        "macro_auc": True,
        "calibration_error": False,
        "worst_day_log_loss": False,
    },
    row_loss={"log_loss": metrics.row_class_log_loss, "brier": metrics.row_class_brier},
    shown="accuracy",
    calibration="calibration_error",
    worst="worst_day_log_loss",
)
_REGRESSION = Family(
    task=Task.REGRESSION,
    higher_is_better={
        "squared_error": False,
        "rmse": False,
        "absolute_error": False,
        "bias": False,
        "explained": True,
        "worst_day_squared_error": False,
    },
    row_loss={"squared_error": metrics.row_squared_error, "absolute_error": metrics.row_absolute_error},
    shown="absolute_error",
    calibration="bias",
    worst="worst_day_squared_error",
)
FAMILIES: Mapping[Task, Family] = {family.task: family for family in (_BINARY, _MULTICLASS, _REGRESSION)}
