"""Model artifacts in the bucket: `model.tar.gz` as SageMaker makes it and serves it, with `model.json` in it."""

import tarfile
from hashlib import sha256

from learning.artifact import FILE_NAME, Model, NotAModel
from platforms.aws.objects import Objects
from platforms.aws.packaging import archive
from platforms.aws.training_request import member
from platforms.errors import Corrupt, NotFound


def packed_artifact(content: bytes) -> bytes:
    """`model.tar.gz` with this `model.json`; the same model gives the same bytes."""
    return archive({FILE_NAME: content})


def read_artifact(objects: Objects, uri: str, digest: str) -> bytes:
    """`model.json` of the archive, checked against `digest`. Raises: NotFound, Corrupt, Unavailable."""
    try:
        packed = objects.get(objects.within(uri))
    except NotFound:
        raise NotFound(f"no model at {uri}: it was never registered here or has been removed") from None
    try:
        content = member(packed, FILE_NAME)
    except (KeyError, tarfile.TarError, OSError, EOFError) as error:
        raise Corrupt(f"the model {uri} can't be read ({type(error).__name__}): restore it or train again") from None
    found = sha256(content).hexdigest()
    if found != digest:
        raise Corrupt(f"the model {uri} has digest {found[:12]}, wanted {digest[:12]}: restore it or train again")
    return content


def load_model(objects: Objects, uri: str, digest: str) -> Model:
    """Raises: NotFound, Corrupt, Unavailable."""
    try:
        return Model.load(read_artifact(objects, uri, digest))
    except NotAModel as error:
        raise Corrupt(f"{uri} is not a model: {error}; train or register it again") from None
