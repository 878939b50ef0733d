"""The model artifact: one `model.json` that holds a blend and all that serving it takes, known by the SHA-256 of its bytes.

    {"format": 2, "features": ["hour", ...], "task": "binary", "classes": [], "threshold": 0.5, "shift": [0.0],
     "weights": "equal", "members": [{"name": "30d", "trees": "<LightGBM text>"}, ...]}

`classes` names the classes of a multiclass task in the order of their numbers. `threshold` is the score from which a binary
answer is 1; null leaves it to the deployment. `shift` has one number, or one for each class, and is added to the mean of the
members' clipped margins before the link (see `policies/blend.py`); a recalibration changes nothing else.

Format 1 is still read: {"format": 1, "features": [...], "members": [{"horizon": "P30D", "trees": "..."}, ...]}, a binary task
without shift and threshold.
"""

from collections.abc import Sequence
from hashlib import sha256
from json import loads
from math import isfinite
from typing import Literal, Self

import lightgbm
import numpy as np
from pydantic import Field, ValidationError, model_validator

from contracts.base import Contract
from contracts.training import Task
from learning.fit import margins
from learning.merged import merged, raw
from learning.rows import Floats
from policies.blend import blend

FILE_NAME = "model.json"


class NotAModel(Exception):
    """These bytes can't be served; the message says what is wrong with them."""


class Member(Contract):
    """One booster of the blend."""

    name: str
    """As the recipe spells it: '30d', 'all', 'all/90d' (half-life) or 'all+30d' (boost)."""
    trees: str = Field(min_length=1)
    """LightGBM's own text format."""


class Artifact(Contract):
    """What stands in `model.json`."""

    format: Literal[2] = 2
    features: tuple[str, ...] = Field(min_length=1)
    task: Task = Task.BINARY
    classes: tuple[str, ...] = ()
    threshold: float | None = Field(default=None, gt=0, lt=1)
    shift: tuple[float, ...] = (0.0,)
    weights: Literal["equal"] = "equal"
    """How much each member counts in the blend."""
    members: tuple[Member, ...] = Field(min_length=1)

    @property
    def outputs(self) -> int:
        """Numbers that a member says of a row: one, or one for each class."""
        return len(self.classes) if self.task is Task.MULTICLASS else 1

    @model_validator(mode="after")
    def _fits_its_task(self) -> Self:
        if (self.task is Task.MULTICLASS) != (len(self.classes) > 1):
            raise ValueError(f"classes names {len(self.classes)} classes, which a {self.task.value} task doesn't have")
        if len(self.shift) != self.outputs:
            raise ValueError(f"shift has {len(self.shift)} numbers, wanted {self.outputs}")
        if self.threshold is not None and self.task is not Task.BINARY:
            raise ValueError(f"a {self.task.value} task has no threshold")
        return self


class _MemberOne(Contract):
    horizon: str
    trees: str = Field(min_length=1)


class _FormatOne(Contract):
    format: Literal[1]
    features: tuple[str, ...] = Field(min_length=1)
    members: tuple[_MemberOne, ...] = Field(min_length=1)

    def renewed(self) -> Artifact:
        members = tuple(Member(name=member.horizon, trees=member.trees) for member in self.members)
        return Artifact(features=self.features, members=members)


def encoded(artifact: Artifact) -> bytes:
    """The file's bytes; the same artifact gives the same bytes."""
    return artifact.model_dump_json().encode()


def decoded(content: bytes) -> Artifact:
    """The artifact in a file of either format. Raises: NotAModel."""
    try:
        if _is_format_one(content):
            return _FormatOne.model_validate_json(content, extra="forbid").renewed()
        return Artifact.model_validate_json(content, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise NotAModel(f"{where}: {first['msg']}") from None


def shifted(content: bytes, shift: Sequence[float]) -> bytes:
    """The recalibrated artifact: the same members with this shift *instead of* the one they had, so shifts never pile up.

    The shift that it has already gives the bytes as they are. Raises: NotAModel, also for a shift that doesn't fit the task.
    """
    artifact, wanted = decoded(content), tuple(float(number) for number in shift)
    if len(wanted) != artifact.outputs or not all(map(isfinite, wanted)):
        raise NotAModel(f"the shift {list(wanted)} doesn't fit: {artifact.outputs} finite numbers wanted")
    return content if wanted == artifact.shift else encoded(artifact.model_copy(update={"shift": wanted}))


class Model:
    """A loaded artifact, ready to score; safe to share between threads."""

    def __init__(self, artifact: Artifact, digest: str) -> None:
        """Raises: NotAModel (trees that can't be read, or of other features or classes)."""
        self.artifact = artifact
        self.features = artifact.features
        self.task = artifact.task
        self.classes = artifact.classes
        self.threshold = artifact.threshold
        self.digest = digest
        self._shift = np.asarray(artifact.shift, dtype=np.float64)
        self._boosters = tuple(_booster(member, artifact) for member in artifact.members)
        self._merged = merged([member.trees for member in artifact.members]) if artifact.outputs == 1 else None

    @classmethod
    def load(cls, content: bytes) -> Self:
        """Read an artifact's bytes. Raises: NotAModel."""
        return cls(decoded(content), sha256(content).hexdigest())

    def margins(self, matrix: Floats) -> list[Floats]:
        """What each member says, before blend and shift: (n,) or, for a multiclass task, (n, K)."""
        if self._merged is not None:
            return list(np.ascontiguousarray(raw(self._merged, matrix).T))
        return [margins(booster, matrix, self.task) for booster in self._boosters]

    def score(self, matrix: Floats) -> Floats:
        """Probability of label 1 (n,), of each class (n, K), or the number (n,) of a regression.

        `matrix` has shape (n, k) in the order of `features`; NaN is a missing value. Raises: ValueError (another shape).
        """
        if matrix.ndim != 2 or matrix.shape[1] != len(self.features):  # noqa: PLR2004 - a matrix has two dimensions
            wanted = f"{len(self.features)} columns ({', '.join(self.features)})"
            raise ValueError(f"model {self.digest[:12]} wants {wanted}, got an array of shape {matrix.shape}")
        if len(matrix) == 0:
            return np.empty((0, len(self.classes)) if self.task is Task.MULTICLASS else 0)
        return blend(self.margins(matrix), task=self.task, shift=self._shift)


def _is_format_one(content: bytes) -> bool:
    try:
        found = loads(content)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("format") == 1


def _booster(member: Member, artifact: Artifact) -> lightgbm.Booster:
    try:
        booster = lightgbm.Booster(model_str=member.trees)
    except lightgbm.basic.LightGBMError as error:
        raise NotAModel(f"the trees of member {member.name} can't be read: {error}") from error
    if booster.num_feature() != len(artifact.features):
        raise NotAModel(
            f"member {member.name} was trained on {booster.num_feature()} features, the file lists {len(artifact.features)}"
        )
    if booster.num_model_per_iteration() != artifact.outputs:
        raise NotAModel(
            f"member {member.name} tells {booster.num_model_per_iteration()} classes apart, the file lists {artifact.outputs}"
        )
    return booster
