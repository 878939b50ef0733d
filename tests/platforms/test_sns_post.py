"""SNS over HTTP against moto's server: published, read back from a queue, and every refusal in our words."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from platforms.aws.sns_post import SnsPost, published, refusal
from platforms.errors import Exhausted, Invalid, NotFound, Unavailable
from platforms.message import Message, message
from tests.platforms.records_fixtures import INCIDENT, notice

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        yield f"http://{host}:{port}"
    server.stop()


def subscribed(name: str, *, fifo: bool = False) -> tuple[str, Any, str]:
    """A topic, a client of its queue, and the queue."""
    sns, sqs = boto3.client("sns", region_name=REGION), boto3.client("sqs", region_name=REGION)
    topic = sns.create_topic(Name=name, Attributes={"FifoTopic": "true"} if fifo else {})["TopicArn"]
    queue = sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if fifo else {})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return topic, sqs, queue


def received(sqs: Any, queue: str) -> list[dict[str, Any]]:
    found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(one["Body"]) for one in found]


@pytest.mark.usefixtures("cloud")
def test_what_is_published_is_read_back_with_its_attributes() -> None:
    topic, sqs, queue = subscribed("alerts")
    SnsPost()(f"sns:{topic}", message(notice(title="bikes: Fähre\nwaits"), {"Diagnostics": "http://127.0.0.1/report"}))
    (body,) = received(sqs, queue)
    assert body["Subject"] == "bikes: F?hre waits"
    assert body["Message"].startswith(
        "The challenger is worse: log loss 0.31 against 0.29.\nDiagnostics: http://127.0.0.1/report"
    )
    assert f"approve bikes/{INCIDENT}" in body["Message"]
    attributes = {name: value["Value"] for name, value in body["MessageAttributes"].items()}
    assert attributes == {
        "kind": "review",
        "endpoint": "bikes",
        "incident": INCIDENT,
        "severity": "medium",
        "key": "endpoint/bikes/incident/1/review/1",
    }


@pytest.mark.usefixtures("cloud")
def test_a_fifo_topic_drops_what_was_published_under_the_same_key() -> None:
    topic, sqs, queue = subscribed("alerts.fifo", fifo=True)
    post = SnsPost()
    for key in ("a", "a", "b"):
        post(f"sns:{topic}", message(notice(key), {}))
    assert [body["MessageAttributes"]["key"]["Value"] for body in received(sqs, queue)] == ["a", "b"]


@pytest.mark.usefixtures("cloud")
def test_a_topic_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="there is no such topic: create it, or correct the ARN"):
        SnsPost()(f"sns:arn:aws:sns:{REGION}:123456789012:nowhere", message(notice(), {}))


def test_a_cloud_that_does_not_answer_is_unavailable_after_one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with pytest.raises(Unavailable, match="EndpointConnectionError; check network, region and credentials"):
        SnsPost()(f"sns:arn:aws:sns:{REGION}:123456789012:alerts", message(notice(), {}))


def test_an_address_that_is_no_topic_is_refused() -> None:
    with pytest.raises(Invalid, match="is no topic"):
        SnsPost()("sns:alerts", message(notice(), {}))


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("Throttling", 400, Unavailable),
        ("ThrottledException", 429, Unavailable),
        ("KMSThrottlingException", 400, Unavailable),
        ("InternalError", 500, Unavailable),
        ("Anything", 503, Unavailable),
        ("AuthorizationError", 403, Unavailable),
        ("ExpiredToken", 403, Unavailable),
        ("NotFound", 404, NotFound),
        ("NotFoundException", 404, NotFound),
        ("TopicLimitExceeded", 403, Exhausted),
        ("InvalidParameter", 400, Invalid),
        ("EndpointDisabled", 400, Invalid),
    ],
)
def test_what_sns_answers_says_whether_trying_again_helps(code: str, status: int, error: type[Exception]) -> None:
    assert type(refusal({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}})) is error


def test_a_long_message_and_title_are_cut_to_what_sns_takes() -> None:
    asked = published(f"arn:aws:sns:{REGION}:123456789012:x", Message("ä" * 300, "ä" * 300_000, "", "k", {}))
    assert len(asked["Subject"]) <= 100
    assert len(asked["Message"].encode()) <= 262_144
    assert "MessageGroupId" not in asked
