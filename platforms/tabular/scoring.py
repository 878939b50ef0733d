"""Score rows with a loaded model: columns taken by name, the same on every platform."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from contracts.training import ModelRef, Task
from learning.artifact import Artifact, Model
from learning.rows import Floats
from platforms.errors import Invalid
from platforms.tables import Margins, Rows

_KEPT: Final = 8
"""Loaded models; a champion and a few challengers are asked for again and again."""


class KeptModels:
    """Models that were used last, loaded and checked once; safe to share between threads."""

    def __init__(self, load: Callable[[str, str], Model]) -> None:
        self._load = load
        self._models: OrderedDict[tuple[str, str], Model] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, uri: str, digest: str) -> Model:
        """Raises: Corrupt, NotFound, Unavailable."""
        with self._lock:
            found = self._models.get((uri, digest)) or self._load(uri, digest)
            self._models[uri, digest] = found
            self._models.move_to_end((uri, digest))
            while len(self._models) > _KEPT:
                self._models.popitem(last=False)
            return found

    def score(self, artifact_uri: str, model: ModelRef, features: Sequence[str], rows: Rows) -> Floats:
        """Probability of label 1 (n,), of each class (n, K), or the number (n,) of a regression. Raises: also Invalid."""
        loaded = self.get(artifact_uri, model.digest)
        return loaded.score(columns(loaded.artifact, model, features, rows))

    def margins(self, artifact_uri: str, model: ModelRef, features: Sequence[str], rows: Rows) -> Margins:
        """What each member says before blend and shift. Raises as `score`."""
        loaded = self.get(artifact_uri, model.digest)
        matrix = columns(loaded.artifact, model, features, rows)
        if not len(rows):
            return no_margins(loaded.artifact)
        return margins_of(loaded.artifact, np.stack(loaded.margins(matrix), axis=1))


def columns(artifact: Artifact, model: ModelRef, features: Sequence[str], rows: Rows) -> Floats:
    """The columns that the model was trained on, in its order. Raises: Invalid."""
    if missing := [name for name in artifact.features if name not in features]:
        raise Invalid(f"model {model.digest[:12]} wants the features {', '.join(missing)}; got {', '.join(features)}")
    if rows.features.shape != (len(rows), len(features)):
        raise Invalid(f"{len(features)} features are named for an array of shape {rows.features.shape} and {len(rows)} rows")
    return rows.features[:, [list(features).index(name) for name in artifact.features]]


def margins_of(artifact: Artifact, found: Floats) -> Margins:
    """`found` has shape (n, M), or (n, M, K) for K classes."""
    return Margins(tuple(member.name for member in artifact.members), found, artifact.shift)


def no_margins(artifact: Artifact) -> Margins:
    shape = (0, len(artifact.members)) + ((artifact.outputs,) if artifact.outputs > 1 else ())
    return margins_of(artifact, np.empty(shape))


def no_scores(artifact: Artifact) -> Floats:
    return np.empty((0, len(artifact.classes)) if artifact.task is Task.MULTICLASS else 0)
