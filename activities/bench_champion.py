"""Which champion served at which moment of the data's time, under which shift, by the manifest's history."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contracts.rollout import Manifest
from contracts.snapshot import DataPolicy
from contracts.training import ModelCard, ModelRef, Task
from platforms.errors import Invalid
from platforms.ports import Margins, Platform, Rows
from policies.blend import blended_margin
from policies.prequential import Champion

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Champions:
    """All that ever served an endpoint, up to the manifests given. Cards are read when they are asked for."""

    platform: Platform
    data: DataPolicy
    manifests: Sequence[Manifest]
    _cards: dict[str, ModelCard] = field(default_factory=dict)

    @classmethod
    def of(cls, platform: Platform, endpoint: str, data: DataPolicy, until: datetime | None = None) -> "Champions":
        """`until` leaves out what served only later."""
        history = platform.manifests.history(endpoint)
        return cls(platform, data, [one for one in history if until is None or since(one) <= until])

    @cached_property
    def _since(self) -> NDArray[np.datetime64]:
        return np.array([since(one).replace(tzinfo=None) for one in self.manifests], "datetime64[us]")

    def card(self, model: ModelRef) -> ModelCard:
        """Raises: NotFound, Corrupt."""
        if model.digest not in self._cards:
            self._cards[model.digest] = self.platform.registry.get(model)
        return self._cards[model.digest]

    def root(self, model: ModelRef) -> str:
        """Digest of the model before any recalibration."""
        digest = model.digest
        while (base := self.card(ModelRef(endpoint=model.endpoint, digest=digest)).derived_from) is not None:
            digest = base
        return digest

    def at(self, moments: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Place in `manifests` of the one in service at each moment; -1 where there was none."""
        place = np.full(len(moments), -1, dtype=np.int64)
        for n, begin in enumerate(self._since):
            place[moments >= begin] = n
        return place

    def said(self, rows: Rows, like: Floats) -> tuple[Floats, Floats, NDArray[np.str_]]:
        """Of each row: its champion's margin without shift, the shift, and the champion's root digest; NaN where there is none.

        `like` has the shape of the answer. A model that is gone, or wants other features than there are, said nothing.
        """
        margin, shift = np.full(like.shape, np.nan), np.full(like.shape, np.nan)
        by, place = np.full(len(rows), "", dtype="U64"), self.at(rows.event_time)
        for n in np.unique(place[place >= 0]):
            which = place == n
            model = self.manifests[n].champion
            try:
                margin[which], shift[which] = self._margin(model, chosen(rows, which))
                by[which] = self.root(model)
            except Invalid:
                continue
        return margin, shift, by

    def _margin(self, model: ModelRef, rows: Rows) -> tuple[Floats, Floats]:
        """Raises: Invalid, NotFound, Corrupt."""
        found = self.margins(model, rows)
        members = [found.of_members[:, n] for n in range(len(found.members))]
        return blended_margin(members, task=self.data.task), np.asarray(found.shift if self._wide else found.shift[0])

    def margins(self, model: ModelRef, rows: Rows) -> Margins:
        card = self.card(model)
        return self.platform.scorer.margins(card.artifact_uri, card.model, self.data.features, rows)

    def shift_of(self, model: ModelRef) -> tuple[float, ...]:
        """As it stands in the artifact."""
        return self.margins(model, no_rows(self.data)).shift

    @property
    def _wide(self) -> bool:
        return self.data.task is Task.MULTICLASS

    @property
    def present(self) -> ModelCard | None:
        """Raises: NotFound, Corrupt."""
        return self.card(self.manifests[-1].champion) if self.manifests else None

    def judged(self, members: Sequence[str], recalibrating: bool) -> Champion | None:
        """The present one as the judgement has to know it; `members` are those that the record knows."""
        card = self.present
        if card is None:
            return None
        root, first = self.root(card.model), len(self.manifests) - 1
        while first and self.root(self.manifests[first - 1].champion) == root:
            first -= 1
        names = tuple(member.name for member in card.recipe.blended)
        return Champion(
            members=names if set(names) <= set(members) else (),
            promoted_at=since(self.manifests[first]),
            trained_through=card.trained_through,
            shift=self.shift_of(card.model),
            recalibrating=recalibrating,
            first=first == 0,
        )


def since(manifest: Manifest) -> datetime:
    """Data time from which it has served."""
    return manifest.served_from or manifest.promoted_as_of


def chosen(rows: Rows, which: NDArray[np.bool_]) -> Rows:
    return Rows(rows.ids[which], rows.event_time[which], rows.features[which], rows.label[which])


def no_rows(data: DataPolicy) -> Rows:
    none = np.empty(0)
    return Rows(np.array([], dtype=str), np.array([], "datetime64[us]"), np.empty((0, len(data.features))), none)
