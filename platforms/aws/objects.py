"""Objects in the bucket: written whole, with a condition where two could write, and read in order."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from platforms.aws.calls import Answer, Aws
from platforms.errors import Conflict, Corrupt, Invalid, NotFound, Unavailable

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
R = TypeVar("R")
_AT_ONCE: Final = 8
_RACES: Final = 20
RACE: Final = "ConditionalRequestConflict"


@dataclass(frozen=True)
class Stored:
    """An object as a listing tells of it."""

    key: str
    bytes: int
    changed: datetime


@dataclass(frozen=True)
class Retention:
    """Until when nobody may remove or replace the version, and whether somebody with the right to may still (governance)."""

    mode: str
    until: datetime


class Objects:
    """Everything under `s3://<bucket>/<prefix>/`; keys are relative to it."""

    def __init__(self, aws: Aws) -> None:
        """Raises: Invalid (no bucket is configured)."""
        if not aws.settings.bucket:
            raise Invalid("no bucket is configured: set HOMEOSTAT_AWS_BUCKET to the one that deploy/aws made")
        self._aws = aws
        self.bucket = aws.settings.bucket
        self.prefix = aws.settings.prefix

    def put(self, key: str, content: bytes, *, tags: dict[str, str] | None = None) -> str:
        """Write the object, whatever was there; returns its uri."""
        self._put(key, content, tags)
        return self.uri(key)

    def create(self, key: str, content: bytes, *, tags: dict[str, str] | None = None, retention: Retention | None = None) -> bool:
        """Write the object if there is none; False where there is one. Of two writers exactly one gets True.

        A time-out after the effect looks like somebody else's object to the next try: compare its content. Where another writer
        is at it just now, S3 wants to be asked again.
        """
        kept = {"ObjectLockMode": retention.mode, "ObjectLockRetainUntilDate": retention.until} if retention else {}
        for left in reversed(range(_RACES)):
            try:
                self._put(key, content, tags, IfNoneMatch="*", **kept)
            except Conflict:
                return False
            except Unavailable as error:
                if not left or RACE not in str(error):
                    raise
                time.sleep(0.05 * (1 + random.random()))  # noqa: S311 - spreads writers, keeps no secret
            else:
                return True
        return False

    def get(self, key: str) -> bytes:
        """Raises: NotFound, Unavailable."""
        return content_of(self._aws.call("s3", "get_object", Bucket=self.bucket, Key=self.key(key)), self.uri(key))

    def read(self, key: str, model: type[M]) -> M:
        """Raises: NotFound, Corrupt (it is no such thing), Unavailable."""
        content = self.get(key)
        try:
            return model.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "the whole object"
            raise Corrupt(f"{self.uri(key)}: {field}: {first['msg']}. Restore an earlier version of it") from None

    def there(self, key: str) -> bool:
        try:
            self._aws.call("s3", "head_object", Bucket=self.bucket, Key=self.key(key))
        except NotFound:
            return False
        return True

    def keys(self, under: str, *, after: str = "") -> Iterator[str]:
        """Keys that begin with `under`, in order, those after `after`."""
        return (found.key for found in self.listed(under, after=after))

    def listed(self, under: str, *, after: str = "") -> Iterator[Stored]:
        """The same with size and time."""
        asked: dict[str, Any] = {"Bucket": self.bucket, "Prefix": self.key(under)}
        if after:
            asked["StartAfter"] = self.key(after)
        for page in self._aws.pages("s3", "list_objects_v2", **asked):
            for found in page.get("Contents", ()):
                yield Stored(str(found["Key"]).removeprefix(f"{self.prefix}/"), int(found["Size"]), found["LastModified"])

    def remove(self, key: str) -> None:
        """What is gone already is nothing."""
        self._aws.call("s3", "delete_object", Bucket=self.bucket, Key=self.key(key))

    def remove_all(self, under: str) -> None:
        """Every object whose key begins with `under`; what is gone already is nothing."""
        together(self.remove, self.keys(under))

    def key(self, key: str) -> str:
        return f"{self.prefix}/{key}"

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{self.key(key)}"

    def within(self, uri: str) -> str:
        """The key that a uri of ours names. Raises: Invalid (it is none of ours)."""
        start = self.uri("")
        if not uri.startswith(start):
            raise Invalid(f"{uri[:200]!r} lies outside {start}")
        return uri.removeprefix(start)

    def _put(self, key: str, content: bytes, tags: dict[str, str] | None, **more: Any) -> None:  # noqa: ANN401 - boto3's open parameters
        asked: dict[str, Any] = {"Bucket": self.bucket, "Key": self.key(key), "Body": content, **more}
        if tags:
            asked["Tagging"] = "&".join(f"{quote(name)}={quote(value)}" for name, value in tags.items())
        if self._aws.settings.kms_key:
            asked |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._aws.settings.kms_key}
        self._aws.call("s3", "put_object", **asked)


def content_of(answer: Answer, uri: str) -> bytes:
    """What GetObject gives, to its end. Raises: Unavailable."""
    try:
        return bytes(answer["Body"].read())
    except Exception as error:  # noqa: BLE001 - urllib3's, botocore's and the socket's own
        raise Unavailable(f"{uri}: the answer broke off: {type(error).__name__}") from None


def together(do: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """A few at a time, in order: most of a call is waiting."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(do, items))
