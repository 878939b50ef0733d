"""A queue of SQS. It may hand a message out twice, and out of order: whoever takes from it must not mind."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from platforms.aws.calls import Aws
from platforms.errors import Unavailable
from platforms.letters import Letter, QueueState

_MOST_AT_ONCE: Final = 10
_MOST_ATTRIBUTES: Final = 10
_MOST_ATTRIBUTE_BYTES: Final = 2000


class SqsQueue:
    def __init__(self, aws: Aws, url: str) -> None:
        self._aws = aws
        self.url = url

    def receive(self, *, most: int, wait_seconds: int, hold_seconds: int) -> list[Letter]:
        answer = self._aws.call(
            "sqs",
            "receive_message",
            QueueUrl=self.url,
            MaxNumberOfMessages=min(most, _MOST_AT_ONCE),
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=hold_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
            MessageAttributeNames=["All"],
        )
        return [_letter(message) for message in answer.get("Messages", ())]

    def hold(self, letter: Letter, seconds: int) -> None:
        self._aws.call(
            "sqs", "change_message_visibility", QueueUrl=self.url, ReceiptHandle=letter.receipt, VisibilityTimeout=seconds
        )

    def acknowledge(self, letters: Sequence[Letter]) -> None:
        """Raises: Unavailable (some are still there, and will be handed out again)."""
        for start in range(0, len(letters), _MOST_AT_ONCE):
            some = letters[start : start + _MOST_AT_ONCE]
            entries = [{"Id": str(n), "ReceiptHandle": letter.receipt} for n, letter in enumerate(some)]
            failed = self._aws.call("sqs", "delete_message_batch", QueueUrl=self.url, Entries=entries).get("Failed", ())
            if failed:
                raise Unavailable(f"sqs delete_message_batch: {len(failed)} messages stay: {failed[0].get('Code')}")

    def send(self, body: str, attributes: Mapping[str, str]) -> None:
        named = {
            name: {"DataType": "String", "StringValue": value[:_MOST_ATTRIBUTE_BYTES]}
            for name, value in list(attributes.items())[:_MOST_ATTRIBUTES]
            if value
        }
        self._aws.call("sqs", "send_message", QueueUrl=self.url, MessageBody=body, MessageAttributes=named)

    def state(self) -> QueueState:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._aws.call("sqs", "get_queue_attributes", QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return QueueState(*(int(found[name]) for name in names))


def _letter(message: dict[str, Any]) -> Letter:
    """Attributes that aren't texts are left out: ours are."""
    named = message.get("MessageAttributes", {}).items()
    return Letter(
        id=message["MessageId"],
        body=message["Body"],
        receipt=message["ReceiptHandle"],
        receives=int(message.get("Attributes", {}).get("ApproximateReceiveCount", "1")),
        attributes={name: value["StringValue"] for name, value in named if "StringValue" in value},
    )
