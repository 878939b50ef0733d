"""The model registry: `registry/<endpoint>/<digest>/` holds `model.json`, never changed, and `card.json`, where it stands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from contracts.training import ModelCard, ModelRef, ModelStatus
from platforms.errors import NotFound
from platforms.local.files import checked_name, locked, read_json, write_atomic, write_contract
from platforms.local.model import FILE_NAME, artifact_path, read_artifact
from platforms.local.staging import staged

CARD: Final = "card.json"


class LocalRegistry:
    """Folders under `home/registry`; any number of objects and processes may share them."""

    def __init__(self, home: Path) -> None:
        self._root = home.resolve() / "registry"

    def register(self, card: ModelCard) -> ModelCard:
        """Keep the artifact under its digest; a model that is registered already stays as it is.

        Raises:
            NotFound: the artifact isn't there.
            Corrupt: its digest is not the card's.
            Exhausted: the disk is full.
        """
        folder = self._folder(card.model)
        if not folder.is_dir():
            content = read_artifact(artifact_path(card.artifact_uri), card.model.digest)
            kept = card.model_copy(update={"artifact_uri": str(folder / FILE_NAME)})
            with staged(folder) as staging:
                write_atomic(staging / FILE_NAME, content)
                write_contract(staging / CARD, kept)
        return self.get(card.model)

    def get(self, model: ModelRef) -> ModelCard:
        """The card of a model whose artifact is whole. Raises: NotFound, Corrupt."""
        card = self._card(model)
        read_artifact(self._folder(model) / FILE_NAME, model.digest)
        return card

    def mark(self, model: ModelRef, status: ModelStatus) -> ModelCard:
        """Set the status; making one CHAMPION retires every other champion of the endpoint.

        Killed half-way, two champions are left: marking again, this one or another, heals that.

        Raises:
            NotFound: the model isn't registered.
            Corrupt: a card of the endpoint can't be read.
        """
        card = self._card(model)
        with locked(self._endpoint(model) / ".lock"):
            marked = self._set(card, status)
            if status is ModelStatus.CHAMPION:
                for other in self.cards(model.endpoint):
                    if other.status is ModelStatus.CHAMPION and other.model != model:
                        self._set(other, ModelStatus.RETIRED)
        return marked

    def cards(self, endpoint: str) -> Sequence[ModelCard]:
        """Every registered model of the endpoint, the one that was trained furthest last. Raises: Corrupt."""
        folder = self._root / checked_name(endpoint, "endpoint")
        cards = [read_json(path, ModelCard) for path in sorted(folder.glob(f"[0-9a-f]*/{CARD}"))]
        return sorted(cards, key=lambda card: (card.trained_through, card.model.digest))

    def _set(self, card: ModelCard, status: ModelStatus) -> ModelCard:
        changed = card.model_copy(update={"status": status})
        write_contract(self._folder(card.model) / CARD, changed)
        return changed

    def _card(self, model: ModelRef) -> ModelCard:
        folder = self._folder(model)
        if not folder.is_dir():
            raise NotFound(f"endpoint {model.endpoint} has no model {model.digest[:12]} in the registry: register it first")
        return read_json(folder / CARD, ModelCard)

    def _folder(self, model: ModelRef) -> Path:
        return self._endpoint(model) / checked_name(model.digest, "digest")

    def _endpoint(self, model: ModelRef) -> Path:
        return self._root / checked_name(model.endpoint, "endpoint")
