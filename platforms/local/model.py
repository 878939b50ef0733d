"""The model artifact: one `model.json` that holds a blend of LightGBM boosters, known by the SHA-256 of its bytes.

    {"format": 1, "features": [...], "members": [{"horizon": "30d", "trees": "<LightGBM text>"}, ...]}

The score is the sigmoid of the mean of the members' logits, each clipped so that no member can drown the others.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

import lightgbm
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from contracts.base import Contract
from platforms.errors import Corrupt, Invalid, NotFound
from platforms.local.files import write_atomic

FILE_NAME = "model.json"
LOGIT_LIMIT = 7.0
"""A member never says less than 0.0009 or more than 0.9991."""


class Member(Contract):
    """One booster of the blend."""

    horizon: str
    """The member's name in the recipe: '30d', 'all', 'all/90d' (half-life) or 'all+30d' (boost)."""
    trees: str = Field(min_length=1)
    """LightGBM's own text format."""


class Artifact(Contract):
    """What stands in `model.json`."""

    format: Literal[1] = 1
    features: tuple[str, ...] = Field(min_length=1)
    members: tuple[Member, ...] = Field(min_length=1)


def write_model(folder: Path, features: Sequence[str], members: Sequence[Member]) -> tuple[Path, str]:
    """Write `model.json` into `folder`, atomically; the same members give the same bytes. Returns its path and digest."""
    content = Artifact(features=tuple(features), members=tuple(members)).model_dump_json().encode()
    path = folder / FILE_NAME
    write_atomic(path, content)
    return path, sha256(content).hexdigest()


def artifact_path(uri: str) -> Path:
    """An artifact is named by its file or by the folder that holds it."""
    path = Path(uri)
    return path / FILE_NAME if path.is_dir() else path


def read_artifact(path: Path, digest: str | None) -> bytes:
    """The artifact's bytes, checked against `digest` unless that is None.

    Raises:
        NotFound: there is no such file.
        Corrupt: the file can't be read, or its bytes have another digest.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"no model at {path}: it was never registered here or has been removed") from None
    except OSError as error:
        raise Corrupt(f"the model {path} can't be read: {error.strerror}") from error
    found = sha256(content).hexdigest()
    if digest is not None and found != digest:
        raise Corrupt(f"the model {path} has digest {found[:12]}, wanted {digest[:12]}: restore the file or train again")
    return content


class Model:
    """A loaded artifact, ready to score; safe to share between threads."""

    def __init__(self, artifact: Artifact, digest: str, path: Path) -> None:
        self.features = artifact.features
        self.digest = digest
        self._boosters = tuple(_booster(member, artifact.features, path) for member in artifact.members)

    @classmethod
    def load(cls, path: Path, digest: str | None) -> Self:
        """Read an artifact and check it.

        Raises:
            NotFound: there is no such file.
            Corrupt: another digest than `digest`, or not a model.
        """
        content = read_artifact(path, digest)
        try:
            artifact = Artifact.model_validate_json(content, extra="forbid")
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise Corrupt(f"{path} is not a model: {where}: {first['msg']}; train or register it again") from None
        return cls(artifact, sha256(content).hexdigest(), path)

    def score(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of label 1, shape (n,), for `matrix` of shape (n, k) in the order of `features`; NaN is a missing value.

        Raises:
            Invalid: the matrix has another number of columns.
        """
        if matrix.ndim != 2 or matrix.shape[1] != len(self.features):  # noqa: PLR2004 - a matrix has two dimensions
            wanted = f"{len(self.features)} columns ({', '.join(self.features)})"
            raise Invalid(f"model {self.digest[:12]} wants {wanted}, got an array of shape {matrix.shape}")
        if len(matrix) == 0:
            return np.empty(0)
        logits = np.mean([_logits(booster, matrix) for booster in self._boosters], axis=0)
        return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float64)


def _logits(booster: lightgbm.Booster, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    raw = booster.predict(matrix, raw_score=True, num_threads=1)
    return np.clip(np.asarray(raw, dtype=np.float64), -LOGIT_LIMIT, LOGIT_LIMIT)


def _booster(member: Member, features: Sequence[str], path: Path) -> lightgbm.Booster:
    try:
        booster = lightgbm.Booster(model_str=member.trees)
    except lightgbm.basic.LightGBMError as error:
        raise Corrupt(f"{path}: the trees of member {member.horizon} can't be read: {error}") from error
    if booster.num_feature() != len(features):
        raise Corrupt(
            f"{path}: member {member.horizon} was trained on {booster.num_feature()} features, the file lists {len(features)}"
        )
    return booster
