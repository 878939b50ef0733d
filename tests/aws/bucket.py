"""The simulator's own S3, from inside: what jobs and endpoints read and write without a call that anybody counts."""

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import S3Backend, s3_backends

ACCOUNT = DEFAULT_ACCOUNT_ID


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an s3 uri."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def exists(bucket: str) -> bool:
    return bucket in _backend().buckets


def read(uri: str) -> bytes | None:
    """The object, or None."""
    bucket, key = split(uri)
    if not exists(bucket):
        return None
    found = _backend().get_object(bucket, key)
    return None if found is None else bytes(found.value)


def write(uri: str, content: bytes) -> None:
    bucket, key = split(uri)
    _backend().put_object(bucket, key, content)


def under(uri: str) -> dict[str, bytes]:
    """Objects whose key begins as the uri's does, by what follows the last `/` of it: S3's prefix, not a folder."""
    bucket, prefix = split(uri)
    if not exists(bucket):
        return {}
    folder = prefix.rpartition("/")[0]
    cut = len(folder) + 1 if folder else 0
    keys = sorted(key for key in _backend().buckets[bucket].keys.keys() if key.startswith(prefix))  # noqa: SIM118 - moto's own dictionary
    found = {key[cut:]: read(f"s3://{bucket}/{key}") for key in keys}
    return {name: content for name, content in found.items() if content is not None and name}


def _backend() -> S3Backend:
    return s3_backends[ACCOUNT]["aws"]
