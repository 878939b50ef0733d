"""What the local monitor computes about live quality."""

from datetime import timedelta

from pydantic import Field

from contracts.base import Contract, Declared, Duration, EndpointName, Sha256
from contracts.snapshot import Window


class MonitorPolicy(Declared):
    """When live quality is bad enough for an alarm, against the champion's reference.

    A binary task is held to accuracy, recall, AUC and Brier, a multiclass task to log loss, accuracy and macro recall;
    these are absolute. A regression is held to its errors, relative to those of the reference.
    """

    period: Duration = timedelta(days=7)
    min_rows: int = Field(default=50, ge=1)
    accuracy_drop: float = Field(default=0.03, gt=0)
    recall_drop: float = Field(default=0.10, gt=0)
    """Recall, or the mean recall over the classes."""
    auc_drop: float = Field(default=0.05, gt=0)
    brier_rise: float = Field(default=0.02, gt=0)
    log_loss_rise: float = Field(default=0.05, gt=0)
    """Of a multiclass task, in nats."""
    rmse_rise: float = Field(default=0.10, gt=0)
    """Of a regression, as a share of the reference's."""
    absolute_error_rise: float = Field(default=0.10, gt=0)
    """Of a regression, as a share of the reference's."""
    bias_rise: float = Field(default=0.20, gt=0)
    """Of a regression: mean error without its sign, as a share of the reference's RMSE."""


class QualityReport(Contract):
    """Live quality of one period, from captured answers joined with the labels that have arrived."""

    endpoint: EndpointName
    window: Window
    requests: int
    labelled: int
    digests: tuple[Sha256, ...]
    """Models that answered in this period."""
    metrics: dict[str, float] = Field(default_factory=dict)
    reference: dict[str, float] = Field(default_factory=dict)
    crossed: tuple[str, ...] = ()
    """Metrics beyond their threshold."""
    alarm: str | None = None
    """Id of the alarm that was raised for it."""
