import math
from collections.abc import Callable

import pytest

from controller.stats.binomial import interval, lower_bound, upper_bound, upper_tail


def test_tail_equals_the_sum_of_its_terms() -> None:
    """P(X >= k) agrees with direct summation."""
    for n, p in [(1, 0.3), (7, 0.01), (30, 0.9)]:
        for k in range(n + 2):
            direct = sum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1))
            assert upper_tail(k, n, p) == pytest.approx(direct, abs=1e-13)


def test_published_intervals() -> None:
    """Known Clopper-Pearson intervals are reproduced."""
    assert interval(0, 10, 0.05) == pytest.approx((0.0, 0.30849710781876083), abs=1e-9)
    assert interval(10, 10, 0.05) == pytest.approx((0.6915028921812392, 1.0), abs=1e-9)
    assert interval(5, 10, 0.05) == pytest.approx((0.18708602844739855, 0.8129139715526015), abs=1e-9)


def test_bounds_invert_the_tail() -> None:
    """At a bound the tail probability is alpha."""
    assert upper_tail(3, 1000, lower_bound(3, 1000, 0.01)) == pytest.approx(0.01, rel=1e-6)
    assert 1 - upper_tail(4, 1000, upper_bound(3, 1000, 0.01)) == pytest.approx(0.01, rel=1e-6)


def test_large_samples_are_finite() -> None:
    """Ten million trials give a narrow interval around the rate."""
    low, high = interval(10_000, 10_000_000, 0.05)
    assert 0.00097 < low < 0.001 < high < 0.00103


@pytest.mark.parametrize("bound", [interval, lower_bound, upper_bound])
@pytest.mark.parametrize(
    ("k", "n", "alpha", "said"),
    [
        (2, 1, 0.05, "2 of 1 is not a count of successes"),
        (-1, 1, 0.05, "-1 of 1 is not a count of successes"),
        (0, 0, 0.05, "0 of 0 is not a count of successes"),
        (0, 1, 0.0, "alpha must lie strictly between 0 and 1"),
        (0, 1, 2.0, "alpha must lie strictly between 0 and 1"),
    ],
)
def test_impossible_counts_are_refused(
    bound: Callable[[int, int, float], object], k: int, n: int, alpha: float, said: str
) -> None:
    """More successes than trials, no trials and levels out of (0, 1) raise, in words."""
    with pytest.raises(ValueError, match=f"^{said}$"):
        bound(k, n, alpha)


def test_one_trial_has_bounds() -> None:
    """After 1 of 1 the 95 % lower bound is 5 %, after 0 of 1 the upper bound 95 %."""
    assert (lower_bound(1, 1, 0.05), upper_bound(1, 1, 0.05)) == (pytest.approx(0.05, abs=1e-11), 1.0)
    assert (lower_bound(0, 1, 0.05), upper_bound(0, 1, 0.05)) == (0.0, pytest.approx(0.95, abs=1e-11))


def test_degenerate_probabilities() -> None:
    """At p of 0 or 1 the tail is 0 or 1."""
    assert upper_tail(1, 5, 0.0) == 0.0
    assert upper_tail(5, 5, 1.0) == 1.0
