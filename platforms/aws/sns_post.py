"""Posts to an SNS topic. What subscribes there (mail, SQS, chat) is the topic's business."""

import re
from hashlib import sha256
from typing import Any, Final

from platforms.aws.failures import RIGHTS, code_of, kind_of
from platforms.errors import Exhausted, Invalid, NotFound, PlatformError, Unavailable
from platforms.message import Message

_TOPIC: Final = re.compile(r"sns:(arn:aws[a-z-]*:sns:([a-z0-9-]+):\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?)")
_FIFO: Final = ".fifo"
_MOST_SUBJECT: Final = 99
_MOST_BYTES: Final = 250_000
_PLAIN: Final = re.compile(r"[^\x20-\x7e]")


class SnsPost:
    """Sends once: Temporal tries again, botocore doesn't."""

    def __init__(self) -> None:
        """Raises: Invalid (boto3 isn't installed)."""
        try:
            import boto3
            import botocore.config
        except ModuleNotFoundError:
            raise Invalid("SNS needs the package boto3 where the worker runs: install homeostat with its extra `aws`") from None
        self._session = boto3.session.Session()
        self._config = botocore.config.Config(
            retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=4, read_timeout=8
        )
        self._clients: dict[str, Any] = {}

    def __call__(self, address: str, message: Message) -> None:
        """Raises: Invalid, NotFound, Conflict, Exhausted, Unavailable."""
        from botocore.exceptions import BotoCoreError, ClientError

        match = _TOPIC.fullmatch(address)
        if match is None:
            raise Invalid("is no topic: write sns:arn:aws:sns:REGION:ACCOUNT:NAME")
        try:
            self._client(match[2]).publish(**published(match[1], message))
        except ClientError as error:
            raise refusal(error.response) from None
        except BotoCoreError as error:
            raise Unavailable(f"{type(error).__name__}; check network, region and credentials of the worker") from None

    def _client(self, region: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        if region not in self._clients:
            self._clients[region] = self._session.client("sns", region_name=region, config=self._config)
        return self._clients[region]


def published(topic: str, message: Message) -> dict[str, Any]:
    """What is asked of SNS. A FIFO topic drops a second publish under the same key within five minutes."""
    asked: dict[str, Any] = {
        "TopicArn": topic,
        "Subject": _PLAIN.sub("?", message.title)[:_MOST_SUBJECT].strip() or "homeostat",
        "Message": message.text.encode()[:_MOST_BYTES].decode(errors="ignore"),
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value}
            for name, value in {**message.attributes, "key": message.key}.items()
        },
    }
    if topic.endswith(_FIFO):
        asked["MessageGroupId"] = message.attributes.get("endpoint", "homeostat")
        asked["MessageDeduplicationId"] = sha256(message.key.encode()).hexdigest()
    return asked


def refusal(response: Any) -> PlatformError:  # noqa: ANN401 - botocore's own open answer
    """SNS's answer in our words."""
    code = code_of(response)
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    kind = kind_of(code, status=status)
    if code in RIGHTS:
        return Unavailable(f"SNS answers {code}: give the worker's role sns:Publish on this topic")
    if kind is NotFound:
        return NotFound("there is no such topic: create it, or correct the ARN")
    if kind is Exhausted:
        return Exhausted(f"SNS answers {code}: a quota is used up")
    return Invalid(f"SNS refuses the message: {code}") if kind is Invalid else kind(f"SNS answers {code}")
