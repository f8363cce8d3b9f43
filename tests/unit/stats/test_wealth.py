import math

import pytest

from controller.stats.wealth import (
    MAX_STARTS,
    clip_log,
    grow_wealth,
    log_mean,
    log_sum,
    log_value,
    open_wealth,
    restart,
)


def test_wealth_starts_at_one() -> None:
    """Without evidence the log wealth is exactly 0."""
    assert log_value(open_wealth(12)) == 0.0


def test_value_is_the_weighted_mean_over_starts_and_bets() -> None:
    """Two starts and cash add up as 3/4, 1/8 and 1/8."""
    wealth = grow_wealth(open_wealth(2), [math.log(2.0), math.log(4.0)])
    wealth = grow_wealth(restart(wealth), [math.log(3.0), math.log(5.0)])
    expected = 0.75 * (6.0 + 20.0) / 2 + 0.125 * (3.0 + 5.0) / 2 + 0.125
    assert math.exp(log_value(wealth)) == pytest.approx(expected, rel=1e-12)


def test_restarting_changes_nothing_at_that_moment() -> None:
    """A new start is worth what the cash it came from was worth."""
    wealth = grow_wealth(open_wealth(1), [1.0])
    assert log_value(restart(wealth)) == pytest.approx(log_value(wealth), abs=1e-12)


def test_a_late_fault_shows_sooner_with_a_restart() -> None:
    """After a long good run a fresh start sees a fault that the first one can't."""
    spent = grow_wealth(open_wealth(1), [-100.0])
    assert log_value(grow_wealth(restart(spent), [10.0])) > 7 > log_value(grow_wealth(spent, [10.0]))


def test_starts_stay_bounded_and_dropping_only_loses() -> None:
    """At most MAX_STARTS are kept; weights never add up to more than 1."""
    wealth = open_wealth(1)
    for _ in range(3 * MAX_STARTS):
        wealth = restart(grow_wealth(wealth, [-0.01]))
    assert len(wealth.starts) == MAX_STARTS
    assert log_value(wealth) <= 0.0


def test_logs_of_sums_do_not_overflow() -> None:
    """Huge, tiny and absent logs have finite or minus infinite results."""
    assert log_sum([1e6, 1e6]) == pytest.approx(1e6 + math.log(2.0))
    assert log_mean([-1e6, -1e6]) == pytest.approx(-1e6)
    assert log_sum([]) == -math.inf
    assert clip_log(1e9) == 300.0
    assert clip_log(-math.inf) == -300.0
