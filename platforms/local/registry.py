"""The model registry: `registry/<endpoint>/<digest>/` holds `model.json`, never changed, and `card.json`, where it stands."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from contracts.training import ModelCard, ModelRef, ModelStatus
from learning.artifact import FILE_NAME, NotAModel, shifted
from platforms.errors import Conflict, Invalid, NotFound
from platforms.files import checked_name, locked, read_json, write_atomic, write_contract
from platforms.local.staging import staged
from platforms.tabular.artifact_file import artifact_path, read_artifact

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
        if not self._folder(card.model).is_dir():
            self._keep(card, read_artifact(artifact_path(card.artifact_uri), card.model.digest))
        return self.get(card.model)

    def recalibrated(self, model: ModelRef, shift: tuple[float, ...], key: str) -> ModelCard:
        """Register the model with this shift instead of its own; a shift that it has, or had before, gives that model's card.

        Raises:
            NotFound: the model isn't registered.
            Corrupt: its artifact isn't whole.
            Invalid: the shift doesn't fit its task.
            Conflict: the key made another recalibration before.
            Exhausted: the disk is full.
        """
        base = self._card(model)
        try:
            content = shifted(read_artifact(self._folder(model) / FILE_NAME, model.digest), shift)
        except NotAModel as error:
            raise Invalid(f"model {model.digest[:12]} can't be recalibrated: {error}") from None
        derived = ModelRef(endpoint=model.endpoint, digest=sha256(content).hexdigest())
        with locked(self._endpoint(model) / ".lock"):
            self._never_made_another(key, derived)
            if not self._folder(derived).is_dir():
                self._keep(_derived(base, derived, shift, key), content)
        return self.get(derived)

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

    def _keep(self, card: ModelCard, content: bytes) -> None:
        """Make the model's folder whole in one step."""
        folder = self._folder(card.model)
        kept = card.model_copy(update={"artifact_uri": str(folder / FILE_NAME)})
        with staged(folder) as staging:
            write_atomic(staging / FILE_NAME, content)
            write_contract(staging / CARD, kept)

    def _never_made_another(self, key: str, model: ModelRef) -> None:
        for card in self.cards(model.endpoint):
            if card.key == key and card.model != model:
                raise Conflict(
                    f"the key {key!r} made model {card.model.digest[:12]} before, now asks for {model.digest[:12]}: "
                    "use a new key for another shift"
                )

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


def _derived(base: ModelCard, model: ModelRef, shift: tuple[float, ...], key: str) -> ModelCard:
    """The card of a recalibration: its members' story is that of the base."""
    changed = {"model": model, "status": ModelStatus.PENDING, "shift": shift, "derived_from": base.model.digest, "key": key}
    return base.model_copy(update=changed)
