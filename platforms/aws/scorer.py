"""Score rows with a model by batch transform, or in this process: the same numbers to the last bit."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.training import ModelRef
from platforms.aws.artifacts import load_model
from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.aws.packaging import Package
from platforms.aws.transform import Transform
from platforms.ports import Margins, Rows
from platforms.tabular.scoring import KeptModels, columns, margins_of, no_margins, no_scores


class AwsScorer:
    """`HOMEOSTAT_AWS_SCORING` chooses where: `transform` (SageMaker's machines, minutes) or `worker` (here, at once)."""

    def __init__(self, aws: Aws, objects: Objects, package: Package | None = None) -> None:
        self._aws = aws
        self._objects = objects
        self._package = package or Package(aws, objects)
        self._models = KeptModels(lambda uri, digest: load_model(objects, uri, digest))

    def score(self, artifact_uri: str, model: ModelRef, features: Sequence[str], rows: Rows) -> NDArray[np.float64]:
        """Probability of label 1 (n,), of each class (n, K), or the number (n,) of a regression.

        Raises:
            Corrupt: the artifact has another digest.
            NotFound: it isn't there.
            Invalid: the rows lack a feature of the model, or the container can't answer.
            Unavailable, Exhausted: SageMaker can't run the job now.
        """
        if self._aws.settings.scoring == "worker":
            return self._models.score(artifact_uri, model, features, rows)
        artifact = self._models.get(artifact_uri, model.digest).artifact
        matrix = columns(artifact, model, features, rows)
        if not len(rows):
            return no_scores(artifact)
        return self._answers(artifact_uri, model, "score", matrix)

    def margins(self, artifact_uri: str, model: ModelRef, features: Sequence[str], rows: Rows) -> Margins:
        """What each member says before blend and shift. Raises as `score`."""
        if self._aws.settings.scoring == "worker":
            return self._models.margins(artifact_uri, model, features, rows)
        artifact = self._models.get(artifact_uri, model.digest).artifact
        matrix = columns(artifact, model, features, rows)
        if not len(rows):
            return no_margins(artifact)
        return margins_of(artifact, self._answers(artifact_uri, model, "margins", matrix))

    def _answers(self, artifact_uri: str, model: ModelRef, output: str, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        return Transform(
            self._aws, self._objects, self._package, model=model, artifact_uri=artifact_uri, output=output, matrix=matrix
        ).answers()
