"""Score rows with a model, in this process."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.training import ModelRef
from learning.artifact import Model
from platforms.errors import Invalid
from platforms.ports import Margins, Rows
from platforms.tabular.artifact_file import artifact_path, load_model

_KEPT: Final = 8
"""Loaded models; a champion and a few challengers are asked for again and again."""


class LocalScorer:
    """Keeps the models it used last; safe to share between threads."""

    def __init__(self) -> None:
        self._models: OrderedDict[tuple[str, str], Model] = OrderedDict()
        self._lock = threading.Lock()

    def score(self, artifact_uri: str, model: ModelRef, features: Sequence[str], rows: Rows) -> NDArray[np.float64]:
        """Probability of label 1 (n,), of each class (n, K), or the number (n,) of a regression.

        The model takes the columns that it was trained on, by name.

        Raises:
            Corrupt: the artifact has another digest.
            NotFound: it isn't there.
            Invalid: the rows lack a feature of the model, or don't have a column for each name.
        """
        loaded = self._model(artifact_uri, model.digest)
        return loaded.score(_columns(loaded, model, features, rows))

    def margins(self, artifact_uri: str, model: ModelRef, features: Sequence[str], rows: Rows) -> Margins:
        """What each member says before blend and shift. Raises as `score`."""
        loaded = self._model(artifact_uri, model.digest)
        matrix = _columns(loaded, model, features, rows)
        outputs = loaded.artifact.outputs
        shape = (len(rows), len(loaded.artifact.members)) + ((outputs,) if outputs > 1 else ())
        found = np.stack(loaded.margins(matrix), axis=1) if len(rows) else np.empty(shape)
        return Margins(tuple(member.name for member in loaded.artifact.members), found, loaded.artifact.shift)

    def _model(self, uri: str, digest: str) -> Model:
        """The model, loaded and checked once while it is kept."""
        with self._lock:
            found = self._models.get((uri, digest)) or load_model(artifact_path(uri), digest)
            self._models[uri, digest] = found
            self._models.move_to_end((uri, digest))
            while len(self._models) > _KEPT:
                self._models.popitem(last=False)
            return found


def _columns(loaded: Model, model: ModelRef, features: Sequence[str], rows: Rows) -> NDArray[np.float64]:
    """The columns that the model was trained on, in its order. Raises: Invalid."""
    if missing := [name for name in loaded.features if name not in features]:
        raise Invalid(f"model {model.digest[:12]} wants the features {', '.join(missing)}; got {', '.join(features)}")
    if rows.features.shape != (len(rows), len(features)):
        raise Invalid(f"{len(features)} features are named for an array of shape {rows.features.shape} and {len(rows)} rows")
    return rows.features[:, [list(features).index(name) for name in loaded.features]]
