"""Exact binomial intervals (Clopper and Pearson 1934), for reports and for the tolerances of our own tests.

P(X >= k) for X ~ Bin(n, p) is the regularised incomplete beta function I_p(k, n - k + 1), evaluated with the
continued fraction of Numerical Recipes (Lentz's method); bounds are found by bisection to 1e-12. Assumes independent
trials with one probability and a fixed n: not for peeking.
"""

import math
from collections.abc import Callable

_TINY = 1e-300
_MAX_TERMS = 10_000


def upper_tail(k: int, n: int, p: float) -> float:
    """Return P(X >= k) for X ~ Bin(n, p)."""
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    return _incomplete_beta(p, float(k), float(n - k + 1))


def upper_bound(k: int, n: int, alpha: float) -> float:
    """Return the one-sided 1 - alpha upper confidence bound of p after k of n."""
    _check(k, n, alpha)
    return 1.0 if k == n else _solve(lambda p: upper_tail(k + 1, n, p), 1.0 - alpha)


def lower_bound(k: int, n: int, alpha: float) -> float:
    """Return the one-sided 1 - alpha lower confidence bound of p after k of n."""
    _check(k, n, alpha)
    return 0.0 if k == 0 else _solve(lambda p: upper_tail(k, n, p), alpha)


def interval(k: int, n: int, alpha: float) -> tuple[float, float]:
    """Return the two-sided 1 - alpha Clopper-Pearson interval of p after k of n."""
    return lower_bound(k, n, alpha / 2.0), upper_bound(k, n, alpha / 2.0)


def _check(k: int, n: int, alpha: float) -> None:
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"{k} of {n} is not a count of successes")
    if not 0 < alpha < 1:
        raise ValueError("alpha must lie strictly between 0 and 1")


def _solve(rising: Callable[[float], float], target: float) -> float:
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2.0
        if rising(middle) < target:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Return I_x(a, b) for a, b >= 1."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1.0) / (a + b + 2.0):
        return math.exp(log_front) * _fraction(x, a, b) / a
    return 1.0 - math.exp(log_front) * _fraction(1.0 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function."""
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    value = d
    step, m = 0.0, 0
    while abs(step - 1.0) > 1e-15 and m < _MAX_TERMS:
        m += 1
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _away(1.0 + term * d)
            c = _away(1.0 + term / c)
            step = d * c
            value *= step
    return value


def _away(value: float) -> float:
    """Keep a divisor away from 0."""
    return value if abs(value) > _TINY else _TINY
