"""Small real models in the bucket, as the registry keeps them, for tests of what serves them."""

from functools import cache
from hashlib import sha256

import lightgbm
import numpy as np

from contracts.training import ModelCard, ModelRef, ModelStatus, Recipe
from learning.artifact import FILE_NAME, Artifact, Member, encoded
from platforms.aws.objects import Objects
from platforms.aws.packaging import archive
from platforms.errors import NotFound

FEATURES = ("hour", "temperature")


@cache
def trained(seed: int) -> bytes:
    """Says yes above hour 12."""
    rng = np.random.default_rng(seed)
    rows = rng.random((400, len(FEATURES))) * 24
    settings = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": seed, "deterministic": True}
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, (rows[:, 0] > 12).astype(float)), 10)
    return encoded(Artifact(features=FEATURES, members=(Member(name="all", trees=booster.model_to_string()),)))


class Shelf:
    """The part of a registry that serving asks."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._cards: dict[ModelRef, ModelCard] = {}

    def put(self, endpoint: str, seed: int = 1, *, broken: bool = False) -> ModelRef:
        content = b"{}" if broken else trained(seed)
        model = ModelRef(endpoint=endpoint, digest=sha256(content + (str(seed).encode() if broken else b"")).hexdigest())
        packed = archive({FILE_NAME: content})
        self._cards[model] = ModelCard(
            model=model,
            artifact_uri=self._objects.put(f"models/{endpoint}/{model.digest}/model.tar.gz", packed),
            recipe=Recipe(),
            features=FEATURES,
            trained_through="2024-01-01T00:00:00Z",
            rows=400,
            base_rate=0.5,
            dataset_sha256="0" * 64,
            incident="test",
            reference={},
        )
        return model

    def get(self, model: ModelRef) -> ModelCard:
        if model not in self._cards:
            raise NotFound(f"model {model.digest[:12]} of {model.endpoint} was never registered")
        return self._cards[model]

    def mark(self, model: ModelRef, status: ModelStatus) -> ModelCard:
        self._cards[model] = self.get(model).model_copy(update={"status": status})
        return self._cards[model]

    def register(self, card: ModelCard) -> ModelCard:
        return self._cards.setdefault(card.model, card)

    def recalibrated(self, model: ModelRef, shift: tuple[float, ...], key: str) -> ModelCard:
        raise NotFound("this shelf recalibrates nothing")
