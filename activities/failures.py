"""The one translator from a platform's errors to Temporal's.

    Unavailable, Exhausted    retried, as the options of the step say
    Conflict, Invalid, NotFound, Corrupt, TrainingFailed    not retried: trying again can't mend them
    NotYet                    not a failure: look again after the pause it names

The type of the resulting ApplicationError is the class's name.
"""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import ParamSpec, TypeVar

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.beating import beating, heartbeat
from contracts.training import Tags
from platforms.errors import Conflict, Corrupt, Invalid, NotFound, PlatformError, TrainingFailed
from platforms.patience import ticking

P = ParamSpec("P")
R = TypeVar("R")

FINAL = (Conflict, Invalid, NotFound, Corrupt, TrainingFailed)
"""Leaves that end a step at once."""


def to_application_error(error: PlatformError) -> ApplicationError:
    final = isinstance(error, FINAL)
    return ApplicationError(
        str(error), type=type(error).__name__, non_retryable=final, next_retry_delay=None if final else error.pause
    )


def translated(step: Callable[P, R]) -> Callable[P, R]:
    """Let a step raise platform errors and Temporal see application errors, and let it be heard of while it blocks."""

    @functools.wraps(step)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with beating(), ticking(heartbeat(), _tags(args)):
                return step(*args, **kwargs)
        except PlatformError as error:
            raise to_application_error(error) from error

    return run


def _tags(args: tuple[object, ...]) -> Tags | None:
    """Those of the step's request, if it has any."""
    found = getattr(args[-1], "tags", None) if args else None
    return found if isinstance(found, Tags) else None


def not_yet(message: str, pause: timedelta) -> ApplicationError:
    """Come back after `pause`: polling that costs no history and holds no worker slot."""
    return ApplicationError(message, type="NotYet", next_retry_delay=pause, category=ApplicationErrorCategory.BENIGN)
