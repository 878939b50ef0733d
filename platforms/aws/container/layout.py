"""Where SageMaker puts things in a container, and what a training job leaves there for whoever asked for it.

Source: docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

import os
from pathlib import Path
from typing import Final

from contracts.base import Contract
from contracts.training import Challenger

ROOT: Final = "HOMEOSTAT_ML_ROOT"
"""Environment variable: a folder that stands for /opt/ml, where no container does."""
OUTPUT: Final = "HOMEOSTAT_OUTPUT"
"""Environment variable of a model: what it answers to rows in lines, `score` or `margins`."""
THRESHOLD: Final = "HOMEOSTAT_THRESHOLD"
"""Environment variable of a model: score from which a binary answer is 1, where its artifact says none."""
JOB: Final = "job.json"
RESULT: Final = "result.json"
LINES: Final = "application/jsonlines"


class TrainingResult(Contract):
    """How a training job ended that could name its end. `artifact_uri`, time and cost are filled in by the adapter."""

    challenger: Challenger | None = None
    note: str = ""
    failure: str | None = None


class Layout:
    """The folders under /opt/ml."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or Path(os.environ.get(ROOT, "/opt/ml"))
        self.job = self.root / "input" / "data" / "job" / JOB
        self.dataset = self.root / "input" / "data" / "dataset"
        self.model = self.root / "model"
        self.checkpoints = self.root / "checkpoints"
        self.result = self.root / "output" / "data" / RESULT
        self.failure = self.root / "output" / "failure"
