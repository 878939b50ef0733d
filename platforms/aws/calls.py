"""The one way to AWS: every call passes here, is held to its rate, sent once, and its failure told in our words.

Temporal tries again, botocore doesn't: two retries on top of each other multiply.
"""

import threading
from collections.abc import Iterator
from typing import Any

from platforms.aws.failures import THROTTLED, code_of, refusal, unreachable
from platforms.aws.limiter import limiter_for
from platforms.aws.settings import AwsSettings
from platforms.errors import Invalid

Answer = dict[str, Any]
"""What boto3 gives: plain values, and streams."""


class Aws:
    """Clients of one process; safe to share between threads."""

    def __init__(self, settings: AwsSettings, session: Any = None) -> None:  # noqa: ANN401 - a boto3 session
        """Raises: Invalid (boto3 isn't installed)."""
        try:
            import boto3
            import botocore.config
        except ModuleNotFoundError:
            raise Invalid("AWS needs boto3 where this runs: install homeostat with its extra `aws`") from None
        self.settings = settings
        self._session = session or boto3.session.Session()
        self._config = botocore.config.Config(
            retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=60, max_pool_connections=32
        )
        self._clients: dict[str, Any] = {}
        self._limiter = limiter_for(self._session.profile_name, self._session.region_name, settings.calls_per_second)
        self._lock = threading.Lock()

    @property
    def region(self) -> str:
        """Raises: Invalid (none is configured)."""
        found = self._session.region_name
        if not found:
            raise Invalid("no AWS region is configured: set AWS_REGION, or region in the profile that AWS_PROFILE names")
        return str(found)

    def call(self, service: str, operation: str, **asked: Any) -> Answer:  # noqa: ANN401 - boto3's own open parameters
        """One API call, by boto3's names: `call("sagemaker", "describe_endpoint", EndpointName="bikes")`.

        Raises:
            NotFound, Conflict, Invalid, Exhausted, Unavailable: as platforms/aws/failures.py reads the answer.
        """
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        client = self.client(service)
        self._limiter.wait(service, operation)
        try:
            answer: Answer = getattr(client, operation)(**asked)
        except ClientError as error:
            if code_of(error.response) in THROTTLED:
                self._limiter.throttled(service, operation)
            raise refusal(service, operation, error.response) from None
        except (BotoCoreError, ResponseParserError) as error:
            raise unreachable(service, operation, error) from None
        self._limiter.passed(service, operation)
        return answer

    def pages(self, service: str, operation: str, **asked: Any) -> Iterator[Answer]:  # noqa: ANN401 - as above
        """Every page of a listing. Raises: as `call`."""
        paginator = self.client(service).get_paginator(operation)
        tokens = dict(zip(paginator._input_token, paginator._output_token, strict=True))  # noqa: SLF001 - each page is a `call`
        more = dict(asked)
        while True:
            page = self.call(service, operation, **more)
            yield page
            following = {name: found.search(page) for name, found in tokens.items()}
            if not any(following.values()):
                return
            more = {**asked, **{name: value for name, value in following.items() if value}}

    def address(self, service: str) -> str:
        """Where the service is reached."""
        return str(self.client(service).meta.endpoint_url)

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(service, region_name=self.region, config=self._config)
            return self._clients[service]
