"""The five figures by which the three ways are compared, with the loop's own definitions."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from policies import metrics

THRESHOLD = 0.5
"""As the fleet file declares it."""


class Quality(BaseModel):
    """Accuracy, recall, AUC (higher is better), Brier and log loss (lower is better)."""

    model_config = ConfigDict(frozen=True)

    accuracy: float
    recall: float
    auc: float
    brier: float
    log_loss: float

    @classmethod
    def of(cls, label: NDArray[np.float64], score: NDArray[np.float64]) -> Self:
        """`label` and `score` have shape (n,); rows without an answer (NaN) are left out and counted elsewhere."""
        known = ~np.isnan(score)
        label, score = label[known], score[known]
        return cls(
            accuracy=metrics.accuracy(label, score, THRESHOLD),
            recall=metrics.recall(label, score, THRESHOLD),
            auc=metrics.auc(label, score),
            brier=metrics.brier(label, score),
            log_loss=metrics.log_loss(label, score),
        )
