"""A bake fails on more errors than chance explains, not on one broken connection."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.bake import bake
from policies.chance import tail


@pytest.mark.parametrize(
    ("errors", "requests", "healthy"),
    [
        (0, 0, True),
        (0, 500, True),
        (1, 1, True),
        (1, 3, True),
        (2, 3, False),
        (3, 3, False),
        (5, 100, True),
        (6, 100, False),
        (100, 10_000, True),
        (132, 10_000, True),
        (133, 10_000, False),
        (10_000_000, 10_000_000, False),
    ],
)
def test_errors_are_weighed_against_chance(errors: int, requests: int, healthy: bool) -> None:
    assert bake(requests=requests, errors=errors, max_error_rate=0.01).healthy is healthy


def test_no_request_is_healthy_but_the_sentence_says_that_nothing_was_shown() -> None:
    report = bake(requests=0, errors=0, max_error_rate=0.01)
    assert report.healthy
    assert "No request" in report.sentence


def test_with_no_error_allowed_one_error_fails() -> None:
    assert not bake(requests=1000, errors=1, max_error_rate=0).healthy
    assert bake(requests=1000, errors=0, max_error_rate=0).healthy


def test_with_every_error_allowed_nothing_fails() -> None:
    assert bake(requests=10, errors=10, max_error_rate=1).healthy


def test_the_sentence_names_the_counts_and_the_allowed_rate() -> None:
    assert "60 of 1,000 requests failed (6.0%, allowed 1.0%)" in bake(requests=1000, errors=60, max_error_rate=0.01).sentence


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.0001, 0.5))
def test_one_more_error_never_heals(requests: int, errors: int, rate: float) -> None:
    errors = min(errors, requests)
    if errors and not bake(requests=requests, errors=errors - 1, max_error_rate=rate).healthy:
        assert not bake(requests=requests, errors=errors, max_error_rate=rate).healthy


@pytest.mark.parametrize(("errors", "requests"), [(-1, 5), (6, 5), (0, -1)])
def test_impossible_counts_are_refused(errors: int, requests: int) -> None:
    with pytest.raises(ValueError, match="found count"):
        bake(requests=requests, errors=errors, max_error_rate=0.01)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0, 1))
def test_the_tail_is_the_sum_of_the_binomial(count: int, of: int, rate: float) -> None:
    count = min(count, of)
    expected = sum(math.comb(of, k) * rate**k * (1 - rate) ** (of - k) for k in range(count, of + 1))
    assert tail(count=count, of=of, rate=rate) == pytest.approx(expected, abs=1e-9)
