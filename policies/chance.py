"""How often chance alone gives a count or a mean like this: binomial and Student's tails, and Holm's correction."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from policies.metrics import Floats

_STEPS = 300
_CLOSE = 1e-14
_TINY = 1e-300


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


def student_tail(t: float, freedom: int) -> float:
    """P(T >= t) for Student's t with at least one degree of freedom."""
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    outside = _beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2
    return outside if t > 0 else 1 - outside


@lru_cache(maxsize=4096)
def student_quantile(level: float, freedom: int) -> float:
    """The t that is exceeded with the probability `level`, in (0, 0.5], to ten digits."""
    if level == 0.5:  # noqa: PLR2004 - the middle, to the last bit
        return 0.0
    low, high = 0.0, 1.0
    while student_tail(high, freedom) > level:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, freedom) > level else (low, middle)
    return high


def holm(chances: Sequence[float]) -> tuple[float, ...]:
    """Each p value corrected for having tested all of them, in the same order, by Holm's step-down."""
    found: Floats = np.asarray(chances, dtype=np.float64)
    order = np.argsort(found, kind="stable")
    stepped = np.maximum.accumulate(found[order] * np.arange(len(found), 0, -1))
    corrected = np.empty(len(found))
    corrected[order] = np.minimum(stepped, 1)
    return tuple(corrected.tolist())


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by Lentz's continued fraction."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d, c = 1 / _away_from_zero(1 + term * d), _away_from_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
