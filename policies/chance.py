"""Exact binomial tails: how often chance alone gives a count like this."""

import math


def tail(*, count: int, of: int, rate: float) -> float:
    """P(X >= count) for X binomial with `of` trials of probability `rate`, in [0, 1].

    1 for count 0. Raises ValueError where count is not in 0..of or rate not in [0, 1].
    """
    if not 0 <= count <= of or not 0 <= rate <= 1:
        raise ValueError(f"need 0 <= count <= of and 0 <= rate <= 1; found count {count}, of {of}, rate {rate}")
    if count == 0 or rate == 1:
        return 1.0
    if rate == 0:
        return 0.0
    if count <= of * rate:
        return 1 - _sum(range(count - 1, -1, -1), of, rate)
    return _sum(range(count, of + 1), of, rate)


def _sum(counts: range, of: int, rate: float) -> float:
    """Probabilities of `counts`, which lead away from the mean, until they no longer matter."""
    total = 0.0
    for k in counts:
        term = math.exp(_log_probability(k, of, rate))
        total += term
        if term < total * 1e-16:
            break
    return min(total, 1.0)


def _log_probability(k: int, of: int, rate: float) -> float:
    ways = math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
    return ways + k * math.log(rate) + (of - k) * math.log1p(-rate)
