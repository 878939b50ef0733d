"""Score rows with a model, in this process."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.training import ModelRef
from platforms.ports import Margins, Rows
from platforms.tabular.artifact_file import artifact_path, load_model
from platforms.tabular.scoring import KeptModels


class LocalScorer:
    """Keeps the models it used last; safe to share between threads."""

    def __init__(self) -> None:
        self._models = KeptModels(lambda uri, digest: load_model(artifact_path(uri), digest))

    def score(self, artifact_uri: str, model: ModelRef, features: Sequence[str], rows: Rows) -> NDArray[np.float64]:
        """Probability of label 1 (n,), of each class (n, K), or the number (n,) of a regression.

        The model takes the columns that it was trained on, by name.

        Raises:
            Corrupt: the artifact has another digest.
            NotFound: it isn't there.
            Invalid: the rows lack a feature of the model, or don't have a column for each name.
        """
        return self._models.score(artifact_uri, model, features, rows)

    def margins(self, artifact_uri: str, model: ModelRef, features: Sequence[str], rows: Rows) -> Margins:
        """What each member says before blend and shift. Raises as `score`."""
        return self._models.margins(artifact_uri, model, features, rows)
