"""What AWS answers, in our words: every code of the table, the messages that tell where codes don't, and answers that never came."""

import itertools
from datetime import timedelta

import pytest
from botocore import exceptions
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from platforms.aws import failures
from platforms.aws.calls import Aws
from platforms.aws.failures import kind_of, refusal, unreachable
from platforms.errors import Conflict, Exhausted, Invalid, NotFound, PlatformError, Unavailable

GROUPS = {
    failures.RIGHTS: Unavailable,
    failures.THROTTLED: Unavailable,
    failures.LATER: Unavailable,
    failures.TAKEN: Conflict,
    failures.ABSENT: NotFound,
    failures.USED_UP: Exhausted,
}


@pytest.mark.parametrize(("code", "kind"), [(code, kind) for group, kind in GROUPS.items() for code in sorted(group)])
def test_each_code_says_what_to_do(code: str, kind: type[PlatformError]) -> None:
    assert kind_of(code) is kind
    answer = {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    assert type(refusal("glue", "get_table", answer)) is kind


def test_no_code_stands_in_two_groups() -> None:
    for one, two in itertools.combinations(GROUPS, 2):
        assert not one & two


def test_what_botocore_calls_throttling_is_throttling_here_but_for_a_quota_that_bears_its_name() -> None:
    """LimitExceededException is a quota of EventBridge and of Application Auto Scaling; the other is DynamoDB's alone."""
    theirs = set(ThrottledRetryableChecker._THROTTLED_ERROR_CODES)
    assert theirs - failures.THROTTLED - failures.LATER == {"LimitExceededException", "TransactionInProgressException"}
    assert set(TransientRetryableChecker._TRANSIENT_ERROR_CODES) <= failures.LATER


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        # terraform-provider-aws and boto3 issues quote these of SageMaker's ValidationException
        ('Cannot create already existing model "arn:aws:sagemaker:eu-west-1:1:model/m".', Conflict),
        ('Cannot create already existing endpoint configuration "arn".', Conflict),
        ("Model Package Group already exists: arn", Conflict),
        ('Could not find model "arn".', NotFound),
        ('Could not find endpoint "arn".', NotFound),
        ("Requested resource not found.", NotFound),
        ("ModelPackageGroup arn does not exist.", NotFound),
        ("No scalable target registered for service namespace: sagemaker", NotFound),
        ('Cannot update in-progress endpoint "arn".', Unavailable),
        ("1 validation error detected: Value 'a_b' at 'trainingJobName' failed to satisfy constraint", Invalid),
        ('No S3 objects found under S3 URL "s3://b/k" given in input data source.', Invalid),
    ],
)
def test_a_validation_exception_is_read_for_what_it_means(message: str, kind: type[PlatformError]) -> None:
    assert kind_of("ValidationException", message) is kind


def test_a_server_s_error_is_one_whatever_its_code() -> None:
    assert kind_of("Unheard", "", 503) is Unavailable
    assert kind_of("Unheard", "", 400) is Invalid


def test_remedies_are_told_where_a_person_has_to_act() -> None:
    denied = refusal("s3", "put_object", {"Error": {"Code": "AccessDenied", "Message": "no"}})
    used_up = refusal("sagemaker", "create_training_job", {"Error": {"Code": "ResourceLimitExceeded", "Message": "0 Instances"}})
    assert "rights of the role" in str(denied)
    assert "Ask for a higher quota" in str(used_up)


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (exceptions.NoCredentialsError(), Unavailable, "Give this process credentials"),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), Unavailable, "ReadTimeoutError"),
        (exceptions.ConnectionClosedError(endpoint_url="https://x"), Unavailable, "ConnectionClosedError"),
        (exceptions.ParamValidationError(report="Unknown parameter"), Invalid, "Unknown parameter"),
    ],
)
def test_an_answer_that_never_came_may_stand_for_an_effect(error: Exception, kind: type[PlatformError], says: str) -> None:
    told = unreachable("sagemaker", "create_model", error)
    assert type(told) is kind
    assert says in str(told)


def test_a_name_that_boto3_refuses_itself_is_invalid(aws: Aws) -> None:
    with pytest.raises(Invalid, match="Parameter validation failed"):
        aws.call("sagemaker", "describe_model", Name="m")


@pytest.mark.parametrize(
    ("code", "minutes"),
    [("AccessDeniedException", 1), ("ExpiredToken", 1), ("ResourceLimitExceeded", 5), ("ThrottlingException", None)],
)
def test_what_a_person_has_to_mend_is_tried_seldom(code: str, minutes: int | None) -> None:
    pause = refusal("sagemaker", "create_training_job", {"Error": {"Code": code, "Message": "x"}}).pause
    assert pause == (None if minutes is None else timedelta(minutes=minutes))
