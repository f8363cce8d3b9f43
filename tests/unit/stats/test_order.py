import math

import numpy as np
import pytest

from controller.stats.binomial import upper_tail
from controller.stats.order import Quantile, needed, quantile


@pytest.mark.parametrize(("level", "n"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_the_fewest_values_with_a_bound(level: float, n: int) -> None:
    """The numbers are the published ones, and one value fewer has no bound."""
    assert needed(level) == n
    assert quantile(list(range(n - 1)), level) is None
    found = quantile(list(range(n)), level)
    assert found is not None
    assert found.upper == n - 1


@pytest.mark.parametrize(("n", "failing"), [(93, 1), (124, 2)])
def test_the_bound_is_the_published_order_statistic(n: int, failing: int) -> None:
    """With 93 and 124 values the second and third largest bound a p95, with one value fewer they do not."""
    for size, ahead in ((n, failing), (n - 1, failing - 1)):
        found = quantile([float(value) for value in range(size)], 0.95)
        assert found is not None
        assert found.upper == size - 1 - ahead


def test_the_bound_covers_the_quantile_of_a_law() -> None:
    """In at least 95 % of samples, within exact binomial tolerance, the true p95 lies below the bound."""
    rng = np.random.default_rng(5)
    true = math.exp(1.6448536269514722)
    misses = 0
    for _ in range(400):
        found = quantile(np.exp(rng.standard_normal(100)).tolist(), 0.95)
        assert found is not None
        misses += found.upper < true
    assert upper_tail(misses, 400, 0.05) > 1e-4


def test_the_quantile_is_the_order_statistic_in_any_order() -> None:
    """Of 1 to 100, shuffled, the p90 is 90 and its bound 96: P(Bin(100, .9) <= 95) is .976, of <= 94 it is .942."""
    values = [float((37 * k) % 101) for k in range(1, 101)]
    assert quantile(values, 0.90) == Quantile(90.0, 96.0, 100)
    censored = [math.inf if value > 95 else value for value in values]
    assert quantile(censored, 0.90) == Quantile(90.0, math.inf, 100)
