"""What stands before every simulated service."""

import time

import pytest

from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.errors import Invalid, NotFound, Unavailable
from tests.aws.simulator import Simulator


def test_what_is_not_simulated_says_so_at_once(aws: Aws) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match="NotSimulated"):
        aws.call("sagemaker", "list_notebook_instances")
    with pytest.raises(Unavailable, match="NotSimulated"):
        aws.call("iam", "generate_service_last_accessed_details", Arn="arn:aws:iam::123456789012:role/x")
    assert time.monotonic() - began < 5


def test_a_text_that_the_api_does_not_allow_is_refused_though_boto3_lets_it_pass(aws: Aws) -> None:
    asked = {"ModelPackageGroupName": f"{aws.settings.prefix}-g", "Tags": [{"Key": "team", "Value": "a, b"}]}
    with pytest.raises(Invalid, match=r"1 validation error detected: Value 'a, b' at 'tags\.1\.member\.value' failed to satisfy"):
        aws.call("sagemaker", "create_model_package_group", **asked)


def test_an_object_is_created_once(objects: Objects) -> None:
    assert objects.create("audit/1", b"one")
    assert not objects.create("audit/1", b"two")
    assert objects.get("audit/1") == b"one"
    assert list(objects.keys("audit/")) == ["audit/1"]
    with pytest.raises(NotFound):
        objects.get("audit/2")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("throttle", Unavailable),
        ("server_error", Unavailable),
        ("expired_credentials", Unavailable),
        ("access_denied", Unavailable),
        ("timeout_before", Unavailable),
    ],
)
def test_a_fault_strikes_as_often_as_it_is_armed_and_before_the_effect(
    objects: Objects, simulator: Simulator, kind: str, error: type[Exception]
) -> None:
    simulator.fault("s3", "PutObject", kind)
    with pytest.raises(error):
        objects.put("a", b"1")
    assert not objects.there("a")
    objects.put("a", b"1")
    assert [call["outcome"] for call in simulator.calls("s3", "PutObject")] == [kind, "ok"]


def test_a_time_out_after_the_effect_looks_like_one_before(objects: Objects, simulator: Simulator) -> None:
    simulator.fault("s3", "PutObject", "timeout_after")
    with pytest.raises(Unavailable):
        objects.create("a", b"1")
    assert objects.get("a") == b"1"


def test_refusals_of_services_that_moto_answers_come_out_in_our_words(aws: Aws) -> None:
    with pytest.raises(NotFound):
        aws.call("sqs", "get_queue_url", QueueName="never-made")
    with pytest.raises(Invalid):
        aws.call("sqs", "create_queue", QueueName="not allowed!")
    url = aws.call("sqs", "create_queue", QueueName=f"{aws.settings.prefix}-q")["QueueUrl"]
    aws.call("sqs", "send_message", QueueUrl=url, MessageBody="hello")
    assert aws.call("sqs", "receive_message", QueueUrl=url)["Messages"][0]["Body"] == "hello"


def test_pages_are_followed_to_the_end(aws: Aws, objects: Objects) -> None:
    for n in range(5):
        objects.put(f"many/{n}", b"")
    found = [
        page["Contents"]
        for page in aws.pages("s3", "list_objects_v2", Bucket=objects.bucket, Prefix=objects.key("many/"), MaxKeys=2)
    ]
    assert [len(page) for page in found] == [2, 2, 1]
    assert list(objects.keys("many/", after="many/2")) == ["many/3", "many/4"]


def test_the_clock_can_be_moved(simulator: Simulator) -> None:
    before = simulator._ask("clock", {})["now"]
    simulator.advance(86_400)
    assert simulator._ask("clock", {})["now"][:10] > before[:10]
