"""What AWS answers when it doesn't do what was asked, in our words: one table for all services.

    rights, credentials      Unavailable    a person mends them: again every minute, for as long as the step may take
    throttled, broken, busy  Unavailable    the same again, later
    taken, changed           Conflict       look at what is there
    absent                   NotFound
    quota, capacity          Exhausted      again every five minutes, for as long as the step may take; then a person
    anything else            Invalid        the request can't be right

Codes alone don't tell: SageMaker says ValidationException to a name that is taken, to one that isn't there and to an
endpoint that is busy, so the message is read as well.
"""

import re
from datetime import timedelta
from typing import Any, Final

from platforms.errors import Conflict, Exhausted, Invalid, NotFound, PlatformError, Unavailable

RIGHTS: Final = frozenset(
    # docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html, and the same page of every service
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OptInRequired", "UnrecognizedClientException"}
    | {"InvalidClientTokenId", "SignatureDoesNotMatch", "MissingAuthenticationToken", "IncompleteSignature", "RequestExpired"}
    | {"ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidSecurity", "NotAuthorized"}
    # docs.aws.amazon.com/sns/latest/api/API_Publish.html
    | {"AuthorizationError", "AuthorizationErrorException", "InvalidSecurityException", "KMSAccessDenied"}
    | {"KMSAccessDeniedException", "KMSOptInRequired"}
)
THROTTLED: Final = frozenset(
    # botocore/retries/standard.py, ThrottledRetryableChecker; without LimitExceededException, which is a quota to EventBridge and
    # Application Auto Scaling
    {"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException", "SlowDown"}
    | {"TooManyRequestsException", "RequestLimitExceeded", "ProvisionedThroughputExceededException", "BandwidthLimitExceeded"}
    | {"EC2ThrottledException", "KMSThrottling", "KMSThrottlingException"}
)
LATER: Final = frozenset(
    # botocore/retries/standard.py, TransientRetryableChecker; CommonErrors.html
    {
        "PriorRequestNotComplete",
        "RequestTimeout",
        "RequestTimeoutException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
    }
    | {"InternalErrorException", "InternalServiceException", "ServiceUnavailable", "ServiceUnavailableException"}
    # docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
    | {"InternalDependencyException", "ModelNotReadyException"}
    # Two at once. docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html (409), EventBridge, Application Auto Scaling
    | {"ConditionalRequestConflict", "OperationAborted", "ConcurrentModificationException", "ConcurrentUpdateException"}
)
TAKEN: Final = frozenset(
    # docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html, API_CreateModelCard.html
    {"ResourceInUse", "ResourceInUseException", "ConflictException"}
    # docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    | {"PreconditionFailed", "412", "BucketAlreadyOwnedByYou", "BucketAlreadyExists"}
    # docs.aws.amazon.com/glue/latest/webapi/API_CreateTable.html, EventBridge, IAM
    | {"AlreadyExistsException", "ResourceAlreadyExistsException", "EntityAlreadyExists", "EntityAlreadyExistsException"}
    # docs.aws.amazon.com/sns/latest/api/API_TagResource.html
    | {"ConcurrentAccess", "ConcurrentAccessException", "StaleTag", "StaleTagException"}
)
ABSENT: Final = frozenset(
    # docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelCard.html and most others
    {"ResourceNotFound", "ResourceNotFoundException", "NotFound", "NotFoundException", "404"}
    # docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    | {"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "NoSuchObjectLockConfiguration", "NoSuchEntity", "NoSuchEntityException"}
    # Application Auto Scaling, Glue, SQS (query and JSON protocol)
    | {"ObjectNotFoundException", "EntityNotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"}
)
USED_UP: Final = frozenset(
    # docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html: a quota, not a rate
    {"ResourceLimitExceeded", "LimitExceededException", "LimitExceeded", "ServiceQuotaExceededException", "QuotaExceeded"}
    | {"TooManyBuckets", "TooManyTagsException", "CapacityError", "InsufficientCapacity", "InsufficientCapacityException"}
    # docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
    | {"FilterPolicyLimitExceeded", "FilterPolicyLimitExceededException", "TopicLimitExceeded", "TopicLimitExceededException"}
    | {"SubscriptionLimitExceeded", "SubscriptionLimitExceededException"}
)
_BUSY: Final = re.compile(r"in-progress|is being (updated|created)|while .* (Updating|Creating)|try again", re.IGNORECASE)
"""Of SageMaker's ValidationException: 'Cannot update in-progress endpoint'."""
_TAKEN: Final = re.compile(r"already exist", re.IGNORECASE)
"""'Cannot create already existing model', 'Model Package Group already exists'."""
_ABSENT: Final = re.compile(r"could not find|does not exist|no scalable target|not found", re.IGNORECASE)
"""'Could not find model', 'Requested resource not found.'"""
_SERVER_ERRORS: Final = 500
_RIGHTS_PAUSE: Final = timedelta(minutes=1)
_QUOTA_PAUSE: Final = timedelta(minutes=5)


def kind_of(code: str, message: str = "", status: int = 400) -> type[PlatformError]:
    """Which of our errors an answer is."""
    if code in RIGHTS:
        return Unavailable
    if code in THROTTLED | LATER or status >= _SERVER_ERRORS or _BUSY.search(message):
        return Unavailable
    if code in TAKEN or _TAKEN.search(message):
        return Conflict
    if code in ABSENT or _ABSENT.search(message):
        return NotFound
    return Exhausted if code in USED_UP else Invalid


def code_of(response: Any) -> str:  # noqa: ANN401 - botocore's own open answer
    return str(response.get("Error", {}).get("Code", "unknown"))


def refusal(service: str, operation: str, response: Any) -> PlatformError:  # noqa: ANN401 - as above
    """An answer that is a refusal."""
    code, message = code_of(response), str(response.get("Error", {}).get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    kind = kind_of(code, message, status)
    error = kind(f"{service} {operation}: {code}: {message[:500]}{_remedy(code, kind)}")
    error.pause = _RIGHTS_PAUSE if code in RIGHTS else _QUOTA_PAUSE if kind is Exhausted else None
    return error


def no_room(message: str) -> Exhausted:
    """No capacity or no quota, told without a refusal: tried again as seldom."""
    error = Exhausted(message)
    error.pause = _QUOTA_PAUSE
    return error


def _remedy(code: str, kind: type[PlatformError]) -> str:
    if code in RIGHTS:
        return ". Check the credentials and the rights of the role that this process runs under"
    return ". Ask for a higher quota, or free what is in use" if kind is Exhausted else ""


def unreachable(service: str, operation: str, error: Exception) -> PlatformError:
    """No answer, or none that could be read. What was asked may have been done."""
    name = type(error).__name__
    if name in {"ParamValidationError", "UnknownServiceError", "DataNotFoundError"}:
        return Invalid(f"{service} {operation}: {error}")
    if name in {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError"}:
        return Unavailable(f"{service} {operation}: {error}. Give this process credentials: a role, or AWS_PROFILE")
    return Unavailable(f"{service} {operation}: {name}: {str(error)[:300]}")
