"""Quantiles of a sample with an exact upper bound, or how many values it would take to have one.

The p-quantile lies below the k-th smallest of n values with probability P(Bin(n, p) <= k - 1) at least, whatever the
law (Wilks 1941; providers.md §4: 59 values for a p95 and 299 for a p99 at 95 %). Assumes independent draws of one law
and a fixed n: for tables, not for peeking.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from controller.stats.binomial import upper_tail

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Quantile:
    """The order statistic at a level and its one-sided upper bound; either is infinite where censored values reach."""

    value: float
    upper: float
    n: int


def needed(level: float) -> int:
    """Return the fewest values of which the quantile at `level` has an upper bound."""
    return math.ceil(math.log(1.0 - CONFIDENCE) / math.log(level))


def quantile(values: Sequence[float], level: float) -> Quantile | None:
    """Return the quantile of values in any order, infinite ones included; None when there are fewer than `needed`."""
    n = len(values)
    if n < needed(level):
        return None
    ordered = sorted(values)
    low, high = math.ceil(level * n), n
    value = ordered[low - 1]
    while low < high:
        middle = (low + high) // 2
        if upper_tail(middle, n, level) <= 1.0 - CONFIDENCE:
            high = middle
        else:
            low = middle + 1
    return Quantile(value, ordered[low - 1], n)
