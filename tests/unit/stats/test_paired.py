import math

import pytest

from controller.stats.paired import (
    FRACTIONS,
    TILTS,
    fold_differences,
    fold_ratios,
    log_harm,
    log_safety,
    mean,
    start_difference,
    start_ratio,
)


def test_no_pair_is_no_evidence() -> None:
    """Both tests start at 0 and have no mean."""
    for state in (start_difference(0.02), start_ratio(1.1)):
        assert (log_harm(state), log_safety(state), mean(state)) == (0.0, 0.0, None)


def test_a_worse_candidate_is_harm_and_an_equal_one_is_safe() -> None:
    """Consistent drops beyond the margin show as harm, consistent equality as safety."""
    worse = fold_differences(start_difference(0.02), [0.2, 0.0, 0.3] * 30)
    equal = fold_differences(start_difference(0.05), [0.0] * 150)
    assert log_harm(worse) > math.log(100.0)
    assert log_safety(worse) < 0
    assert log_safety(equal) > math.log(20.0)
    assert mean(worse) == pytest.approx(0.5 / 3)


def test_slower_pairs_are_harm_and_equal_pairs_are_safe() -> None:
    """Pairs at 1.5x break a margin of 1.1x; equal pairs with small noise pass it."""
    slower = fold_ratios(start_ratio(1.1), [math.log(1.5)] * 15)
    equal = fold_ratios(start_ratio(1.1), [0.02, -0.02] * 15)
    assert log_harm(slower) > math.log(100.0)
    assert log_safety(equal) > math.log(20.0)


def test_extreme_pairs_do_not_overflow() -> None:
    """A ratio of e^700 and its inverse are finite evidence."""
    state = fold_ratios(start_ratio(1.1), [700.0, -700.0])
    assert math.isfinite(log_harm(state))
    assert math.isfinite(log_safety(state))


def test_bad_pairs_and_margins_are_refused() -> None:
    """Differences outside [-1, 1], infinite ratios and absurd margins raise."""
    with pytest.raises(ValueError, match="outside"):
        fold_differences(start_difference(0.0), [1.5])
    with pytest.raises(ValueError, match="finite"):
        fold_ratios(start_ratio(1.1), [math.inf])
    with pytest.raises(ValueError, match="margin"):
        start_difference(1.0)
    with pytest.raises(ValueError, match="max_ratio"):
        start_ratio(0.0)


def test_ratios_multiply_the_symmetry_factor() -> None:
    """Each pair multiplies 2 / (1 + exp(-2 th s)), s in units of the root mean square of the pairs before it."""
    state = fold_ratios(start_ratio(0.5), [0.3, -0.9])
    excesses = [0.3 - math.log(0.5), -0.9 - math.log(0.5)]
    scales = [0.1, math.sqrt((excesses[0] ** 2 + 10 * 0.01) / 11)]
    for k, tilt in enumerate(TILTS):
        scores = [tilt * excess / scale for excess, scale in zip(excesses, scales, strict=True)]
        for totals, sign in ((state.harm, 1.0), (state.safety, -1.0)):
            expected = math.fsum(math.log(2 / (1 + math.exp(-2 * sign * u))) for u in scores)
            assert totals[k] == pytest.approx(expected, abs=1e-12)
    assert (state.n, state.total) == (2, pytest.approx(-0.6))
    assert state.squares == pytest.approx(excesses[0] ** 2 + excesses[1] ** 2)
    assert mean(state) == pytest.approx(-0.3)


def test_differences_multiply_what_a_bet_returns() -> None:
    """Each pair multiplies 1 + lam (D - d), and 1 - lam (D - d) for safety, lam a part of the largest safe bet."""
    state = fold_differences(start_difference(0.1), [0.4, -1.0])
    for k, fraction in enumerate(FRACTIONS):
        harm = math.fsum(math.log(1 + fraction * 0.99 / 1.1 * (d - 0.1)) for d in (0.4, -1.0))
        safety = math.fsum(math.log(1 - fraction * 0.99 / 0.9 * (d - 0.1)) for d in (0.4, -1.0))
        assert (state.harm[k], state.safety[k]) == pytest.approx((harm, safety), abs=1e-12)
    assert (state.n, state.total) == (2, pytest.approx(-0.6))


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.inf])
def test_a_ratio_must_be_positive_and_finite(ratio: float) -> None:
    """Anything else is refused in words."""
    with pytest.raises(ValueError, match="max_ratio must be positive and finite"):
        start_ratio(ratio)
