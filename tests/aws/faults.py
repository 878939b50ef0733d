"""Faults on demand: which call is struck, how, and how often."""

import threading
from dataclasses import dataclass
from typing import Any

from tests.aws.calls import Call, Refusal

ANSWERS = {
    "throttle": ("ThrottlingException", "Rate exceeded", 400),
    "server_error": ("InternalFailure", "The request processing has failed because of an unknown error.", 500),
    "expired_credentials": ("ExpiredTokenException", "The security token included in the request is expired", 400),
    "access_denied": ("AccessDeniedException", "User is not authorized to perform this action", 400),
    "resource_limit": (
        "ResourceLimitExceeded",
        "The account-level service limit is 0 Instances, with current utilization of 0 Instances",
        400,
    ),
}
"""By kind: code, message, status of an answer in place of the effect."""
S3 = {
    "throttle": ("SlowDown", "Please reduce your request rate.", 503),
    "access_denied": ("AccessDenied", "Access Denied", 403),
    "expired_credentials": ("ExpiredToken", "The provided token has expired.", 400),
    "server_error": ("InternalError", "We encountered an internal error. Please try again.", 500),
}
CUT = ("timeout_before", "timeout_after")
"""The connection is closed: before anything was done, or after it was done."""
OF_JOBS = ("capacity", "spot_interruption")
"""Read by the overlay that runs jobs, with `Faults.struck`."""
KINDS = (*ANSWERS, *CUT, *OF_JOBS)


@dataclass
class Fault:
    service: str
    operation: str
    kind: str
    times: int = 1
    """How many calls it strikes."""
    after: int = 0
    """How many it lets pass first."""


class Faults:
    """What is armed; each strikes in the order in which it was armed."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._lock = threading.Lock()

    def arm(self, given: dict[str, Any]) -> None:
        fault = Fault(**given)
        if fault.kind not in KINDS:
            raise ValueError(f"kind {fault.kind!r}: choose one of {', '.join(KINDS)}")
        with self._lock:
            self._armed.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()

    def struck(self, service: str, operation: str, kinds: tuple[str, ...] = (*ANSWERS, *CUT)) -> str | None:
        """The kind of the fault that strikes this call, or None."""
        with self._lock:
            for fault in self._armed:
                if (fault.service, fault.operation) != (service, operation) or fault.kind not in kinds or not fault.times:
                    continue
                if fault.after:
                    fault.after -= 1
                    return None
                fault.times -= 1
                return fault.kind
        return None


def refusal(call: Call, kind: str) -> Refusal:
    code, message, status = S3.get(kind, ANSWERS[kind]) if call.service == "s3" else ANSWERS[kind]
    return Refusal(code, message, status)
