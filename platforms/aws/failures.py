"""What AWS answers when it doesn't do what was asked, in our words: one table for all services.

Codes alone don't tell: SageMaker says ValidationException to a name that is taken, to one that isn't there and to an
endpoint that is busy, so the message is read as well.
"""

import re
from typing import Any, Final

from platforms.errors import Conflict, Exhausted, Invalid, NotFound, PlatformError, Unavailable

_LATER: Final = frozenset(
    {"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException", "SlowDown"}
    | {"TooManyRequestsException", "RequestLimitExceeded", "ProvisionedThroughputExceededException", "KMSThrottlingException"}
    | {"InternalError", "InternalFailure", "InternalServerError", "InternalServiceException", "InternalDependencyException"}
    | {"ServiceUnavailable", "ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException", "ModelNotReadyException"}
    | {"ConcurrentModificationException", "ConditionalRequestConflict", "OperationAborted"}
)
_RIGHTS: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "KMSAccessDenied"}
    | {"InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException", "ExpiredToken", "ExpiredTokenException"}
    | {"InvalidSecurity", "MissingAuthenticationToken", "OptInRequired", "InvalidAccessKeyId", "RequestExpired"}
)
_TAKEN: Final = frozenset(
    {"ResourceInUse", "ResourceInUseException", "ConflictException", "PreconditionFailed", "AlreadyExistsException"}
    | {"BucketAlreadyOwnedByYou", "EntityAlreadyExists", "ResourceAlreadyExistsException"}
)
_ABSENT: Final = frozenset(
    {"ResourceNotFound", "ResourceNotFoundException", "NoSuchKey", "NoSuchBucket", "NotFound", "404", "NoSuchEntity"}
    | {"ObjectNotFoundException", "EntityNotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"}
)
_USED_UP: Final = frozenset(
    {"ResourceLimitExceeded", "LimitExceededException", "LimitExceeded", "ServiceQuotaExceededException", "QuotaExceeded"}
    | {"CapacityError", "InsufficientCapacity", "TooManyBuckets"}
)
_BUSY_WORDS: Final = re.compile(r"in-progress|is being (updated|created)|while .* (Updating|Creating)|try again", re.IGNORECASE)
_TAKEN_WORDS: Final = re.compile(r"already exist", re.IGNORECASE)
_ABSENT_WORDS: Final = re.compile(r"could not find|does not exist|no scalable target|not found", re.IGNORECASE)
_SERVER_ERRORS: Final = 500


def refusal(service: str, operation: str, response: Any) -> PlatformError:  # noqa: ANN401 - botocore's own open answer
    """An answer that is a refusal."""
    error = response.get("Error", {})
    code, message = str(error.get("Code", "unknown")), str(error.get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = f"{service} {operation}: {code}: {message[:500]}"
    if code in _RIGHTS:
        return Unavailable(f"{said}. Check the credentials and the rights of the role that this process runs under")
    if code in _LATER or status >= _SERVER_ERRORS or _BUSY_WORDS.search(message):
        return Unavailable(said)
    if code in _TAKEN or _TAKEN_WORDS.search(message):
        return Conflict(said)
    if code in _ABSENT or _ABSENT_WORDS.search(message):
        return NotFound(said)
    if code in _USED_UP:
        return Exhausted(f"{said}. Ask for a higher quota, or free what is in use")
    return Invalid(said)


def unreachable(service: str, operation: str, error: Exception) -> PlatformError:
    """No answer, or none that could be read. What was asked may have been done."""
    name = type(error).__name__
    if name in {"ParamValidationError", "UnknownServiceError", "DataNotFoundError"}:
        return Invalid(f"{service} {operation}: {error}")
    if name in {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError"}:
        return Unavailable(f"{service} {operation}: {error}. Give this process credentials: a role, or AWS_PROFILE")
    return Unavailable(f"{service} {operation}: {name}: {str(error)[:300]}")
