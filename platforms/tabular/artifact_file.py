"""Model artifacts as files: found by name, checked against their digest, loaded."""

from hashlib import sha256
from pathlib import Path

from learning.artifact import FILE_NAME, Artifact, Model, NotAModel, encoded
from platforms.errors import Corrupt, NotFound
from platforms.files import write_atomic


def write_model(folder: Path, artifact: Artifact) -> tuple[Path, str]:
    """Write `model.json` into `folder`, atomically; the same artifact gives the same bytes. Returns its path and digest."""
    content = encoded(artifact)
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


def load_model(path: Path, digest: str | None) -> Model:
    """Read an artifact, check it and make it ready to score.

    Raises:
        NotFound: there is no such file.
        Corrupt: another digest than `digest`, or not a model.
    """
    try:
        return Model.load(read_artifact(path, digest))
    except NotAModel as error:
        raise Corrupt(f"{path} is not a model: {error}; train or register it again") from None
