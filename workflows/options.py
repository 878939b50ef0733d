"""Time-outs and retries, by kind of work. No call site has numbers of its own.

Errors that trying again can't mend are marked non-retryable where they are raised (`activities/failures.py`).
"""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import Priority, RetryPolicy
from temporalio.workflow import ActivityCancellationType

from contracts.alarm import Severity


def training_queue(main: str) -> str:
    """The training queue beside a main queue: 'homeostat' trains on 'homeostat-training'."""
    return f"{main}-training"


RENEW_AFTER_EVENTS = 8000
"""A lifecycle's history may grow to this before it continues as new, even where the server suggests nothing."""


BUGS: tuple[type[BaseException], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a plain bug raises: it fails a remediation, so that its lifecycle goes on. Not `Exception`, which would name Temporal's
NondeterminismError, too: an unpatched change then has to wait for its repair, not to fail every open incident uncleaned."""


class Options(TypedDict, total=False):
    task_queue: str
    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType
    priority: Priority


_PATIENT = RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=1))
_BOUNDED = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30), maximum_attempts=6)
_WAIT = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED

DATA = Options(start_to_close_timeout=timedelta(hours=2), heartbeat_timeout=timedelta(minutes=1), retry_policy=_BOUNDED)
"""Queries and scoring: minutes here, longer where a job of a cloud has to start for it. `activities/failures.py` sends heartbeats
for a step that blocks, so that a dead worker is noticed in a minute."""

JUDGEMENT = Options(start_to_close_timeout=timedelta(minutes=5), retry_policy=_BOUNDED)
"""A pure policy on numbers that are there."""

NOTICE = Options(
    start_to_close_timeout=timedelta(seconds=20),
    schedule_to_close_timeout=timedelta(minutes=2),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=5),
)
"""Telling people: a channel that is down delays nothing for long."""


def late_notice(patience: timedelta) -> Options:
    """A channel that is down is tried until what it should tell is of no use any more."""
    return Options(
        start_to_close_timeout=timedelta(seconds=30),
        schedule_to_close_timeout=patience,
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=15), maximum_interval=timedelta(minutes=5)),
    )


ALARM = Options(
    start_to_close_timeout=timedelta(seconds=30), schedule_to_close_timeout=timedelta(minutes=10), retry_policy=_PATIENT
)
"""Handing an alarm to the bridge; one that is down gets it at the next turn."""

RECORD = Options(
    start_to_close_timeout=timedelta(minutes=1), schedule_to_close_timeout=timedelta(minutes=30), retry_policy=_PATIENT
)
"""The audit chain: patient, since without it nothing is promoted."""

VERIFY = Options(
    start_to_close_timeout=timedelta(seconds=20),
    schedule_to_close_timeout=timedelta(minutes=1),
    retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_attempts=5),
)
"""Who vouches for a decision: whoever made it waits for the answer."""

INPUTS = Options(start_to_close_timeout=timedelta(minutes=1), schedule_to_close_timeout=timedelta(hours=1), retry_policy=_PATIENT)
"""What a review rests on, read once: patient, since a person has decided, or is about to."""

CANCEL_PATIENCE = timedelta(minutes=10)
"""How long a rollback waits for the open incident to close before it goes ahead."""

_AROUND_A_DEPLOYMENT = timedelta(minutes=15)
"""For what goes before and after the deployment itself, which ends within the policy's `serving.shift.timeout`."""


def rollout(deployment: timedelta) -> Options:
    """Putting a model into service: patient, since a person may have approved it."""
    return Options(
        start_to_close_timeout=deployment + _AROUND_A_DEPLOYMENT,
        schedule_to_close_timeout=deployment + 2 * _AROUND_A_DEPLOYMENT,
        heartbeat_timeout=timedelta(seconds=30),
        retry_policy=_PATIENT,
        cancellation_type=_WAIT,
    )


def urgent(deployment: timedelta) -> Options:
    """Going back: tried hard, then a person is paged. A deployment that runs has to end first, so there is time for that."""
    return Options(
        start_to_close_timeout=deployment + _AROUND_A_DEPLOYMENT,
        schedule_to_close_timeout=deployment + 2 * _AROUND_A_DEPLOYMENT,
        heartbeat_timeout=timedelta(seconds=15),
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10)),
        cancellation_type=ActivityCancellationType.ABANDON,
    )


CLEANUP = Options(
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=timedelta(seconds=15),
    retry_policy=_BOUNDED,
    cancellation_type=ActivityCancellationType.ABANDON,
)

FOLLOW = Options(
    start_to_close_timeout=timedelta(days=365),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=_PATIENT,
    cancellation_type=ActivityCancellationType.ABANDON,
)
"""Waiting for a remediation that an earlier run of the lifecycle began."""

_PRIORITY = {Severity.CRITICAL: 1, Severity.HIGH: 2, Severity.MEDIUM: 3, Severity.LOW: 4}
_LAST = 5


def training(*, main_queue: str, max_runtime: timedelta, severity: Severity, team: str) -> Options:
    """Training queues for its slots as long as it takes: no time-out counts the queue. Machines take minutes to come and go."""
    return Options(
        task_queue=training_queue(main_queue),
        start_to_close_timeout=max_runtime + timedelta(minutes=30),
        heartbeat_timeout=timedelta(seconds=20),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1), maximum_attempts=4
        ),
        cancellation_type=_WAIT,
        priority=Priority(priority_key=_PRIORITY[severity], fairness_key=team),
    )


def bench_training(*, main_queue: str, max_runtime: timedelta, team: str) -> Options:
    """The shadow bench trains when nobody else wants to."""
    how = training(main_queue=main_queue, max_runtime=max_runtime, severity=Severity.LOW, team=team)
    how["priority"] = Priority(priority_key=_LAST, fairness_key=team)
    return how


def baking(bake: timedelta) -> Options:
    """Minutes on the clock, with a heartbeat."""
    return Options(
        start_to_close_timeout=bake + timedelta(minutes=5),
        heartbeat_timeout=timedelta(seconds=30),
        retry_policy=_BOUNDED,
        cancellation_type=_WAIT,
    )


def rechecking(limit: timedelta) -> Options:
    """Each look is short; the pauses between are those that the activity asks for. The review's end cancels it."""
    return Options(
        start_to_close_timeout=timedelta(minutes=1),
        schedule_to_close_timeout=limit + timedelta(days=1),
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(hours=1)),
        cancellation_type=ActivityCancellationType.TRY_CANCEL,
    )


def watching(limit: timedelta) -> Options:
    """Each look is short; the pauses between are the retry delays that the activity asks for."""
    return Options(
        start_to_close_timeout=timedelta(minutes=5),
        schedule_to_close_timeout=limit,
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(hours=1)),
    )
