"""The simulated S3's objects, read and written without HTTP: for what services do among themselves."""

from collections.abc import Iterator

from moto.s3.models import FakeKey, s3_backends

from tests.aws.world import ACCOUNT


def split(uri: str) -> tuple[str, str]:
    """Bucket and key. Raises: ValueError (no s3 uri)."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"{uri!r} is no s3 uri")
    return bucket, key


def there(uri: str) -> bool:
    """Whether the bucket exists."""
    return split(uri)[0] in s3_backends[ACCOUNT]["aws"].buckets


def listed(uri: str) -> Iterator[FakeKey]:
    """Current objects under the uri, in order."""
    bucket, prefix = split(uri)
    found = s3_backends[ACCOUNT]["aws"].buckets[bucket].keys
    for name in sorted(name for name in list(found) if name.startswith(prefix)):
        key = found.get(name)
        if isinstance(key, FakeKey):
            yield key


def write(uri: str, content: bytes) -> None:
    bucket, key = split(uri)
    s3_backends[ACCOUNT]["aws"].put_object(bucket, key, content)
