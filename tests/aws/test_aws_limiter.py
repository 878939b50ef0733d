"""Calls of one API are spread over time, slower where it throttles, and faster again once it doesn't."""

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest

from platforms.aws.calls import Aws
from platforms.aws.limiter import Limiter, limiter_for
from platforms.errors import Unavailable
from tests.aws.simulator import Simulator


class _Clock:
    """Sleeping moves it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns: list[float] = []
        self._lock = Lock()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.turns.append(self.now + seconds)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def test_many_threads_share_one_rate_per_operation(clock: _Clock) -> None:
    limiter = Limiter(4.0, clock, clock.sleep)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: limiter.wait("sagemaker", "describe_endpoint"), range(8)))
    assert sorted(clock.turns) == [n / 4 for n in range(8)]
    clock.turns.clear()
    limiter.wait("sagemaker", "describe_training_job")
    assert clock.turns == [0.0]


def test_a_throttled_operation_goes_at_half_the_rate_and_recovers(clock: _Clock) -> None:
    limiter = Limiter(4.0, clock, clock.sleep)
    limiter.throttled("sagemaker", "create_model")
    for _ in range(2):
        limiter.wait("sagemaker", "create_model")
    assert clock.turns == [0.5, 1.0]
    for _ in range(20):
        limiter.passed("sagemaker", "create_model")
    clock.turns.clear()
    for _ in range(2):
        limiter.wait("sagemaker", "create_model")
    assert clock.turns[1] - clock.turns[0] == pytest.approx(0.25)
    for _ in range(100):
        limiter.throttled("sagemaker", "create_model")
    clock.turns.clear()
    limiter.wait("sagemaker", "create_model")
    assert clock.turns == [10.0]


def test_all_clients_of_an_account_in_a_process_share_a_limiter() -> None:
    assert limiter_for("default", "eu-west-1", 5.0) is limiter_for("default", "eu-west-1", 5.0)
    assert limiter_for("default", "eu-west-1", 5.0) is not limiter_for("default", "us-east-1", 5.0)


def test_an_answer_of_throttling_slows_the_next_calls(aws: Aws, simulator: Simulator) -> None:
    aws._limiter = Limiter(1000.0)
    for kind, slower in (("server_error", False), ("throttle", True)):
        simulator.fault("sagemaker", "ListModels", kind)
        with pytest.raises(Unavailable):
            aws.call("sagemaker", "list_models")
        assert (aws._limiter._api("sagemaker", "list_models").rate < 1000.0) is slower
    aws.call("sagemaker", "list_models")


def test_objects_are_read_many_times_as_often_as_jobs_are_described(clock: _Clock) -> None:
    limiter = Limiter(5.0, clock, clock.sleep)
    for _ in range(3):
        limiter.wait("s3", "get_object")
    assert clock.turns == pytest.approx([0, 0.002, 0.004])
    limiter.throttled("s3", "get_object")
    for _ in range(20):
        limiter.passed("s3", "get_object")
    clock.turns.clear()
    clock.now = 100.0
    for _ in range(2):
        limiter.wait("s3", "get_object")
    assert clock.turns[1] - clock.turns[0] == pytest.approx(0.002)
