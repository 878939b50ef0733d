"""Conditional writes that race: moto looks and writes in two steps, so of two writers at once both would win.

Of concurrent `PutObject` with `If-None-Match` one succeeds; the others get 409 ConditionalRequestConflict while it is under way, and
412 once the object is there.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html and the PutObject API reference.
"""

import threading
from collections import defaultdict
from typing import Any

from moto.s3.exceptions import S3ClientError
from moto.s3.responses import S3Response

from tests.aws.world import World


class Concurrent(S3ClientError):
    code = "ConditionalRequestConflict"
    status = 409

    def __init__(self) -> None:
        super().__init__("The conditional request cannot succeed due to a conflicting operation against this resource.")


def install(world: World) -> None:
    locks: dict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
    put = S3Response.put_object

    def put_object(self: Any) -> Any:
        if self.headers.get("If-None-Match") != "*":
            return put(self)
        lock = locks[self.bucket_name, self.parse_key_name()]
        if not lock.acquire(blocking=False):
            raise Concurrent
        try:
            return put(self)
        finally:
            lock.release()

    S3Response.put_object = put_object
