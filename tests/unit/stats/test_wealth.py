import math

import pytest

from controller.stats.wealth import (
    EVEN_STARTS,
    cash_left,
    clip_log,
    grow_wealth,
    log_mean,
    log_stake,
    log_sum,
    log_value,
    open_wealth,
    restart,
)


def test_wealth_starts_at_one() -> None:
    """Without evidence the log wealth is exactly 0."""
    assert log_value(open_wealth(12)) == 0.0


def test_value_is_the_weighted_mean_over_starts_and_bets() -> None:
    """Two starts and cash: of what the first leaves, the second takes a thirty-first part."""
    wealth = grow_wealth(open_wealth(2), [math.log(2.0), math.log(4.0)])
    wealth = grow_wealth(restart(wealth), [math.log(3.0), math.log(5.0)])
    expected = 0.78 * (6.0 + 20.0) / 2 + 0.22 / 31 * (3.0 + 5.0) / 2 + 0.22 * 30 / 31
    assert math.exp(log_value(wealth)) == pytest.approx(expected, rel=1e-12)


def test_restarting_changes_nothing_at_that_moment() -> None:
    """A new start is worth what the cash it came from was worth."""
    wealth = grow_wealth(open_wealth(1), [1.0])
    assert log_value(restart(wealth)) == pytest.approx(log_value(wealth), abs=1e-12)


def test_a_late_fault_shows_sooner_with_a_restart() -> None:
    """After a long good run a fresh start sees a fault that the first one can't."""
    spent = grow_wealth(open_wealth(1), [-100.0])
    assert log_value(grow_wealth(restart(spent), [12.0])) > 7 > log_value(grow_wealth(spent, [12.0]))


def test_all_stakes_together_are_the_wealth_of_one() -> None:
    """What the first n starts stake and what they leave in cash add up to 1, for few starts and for many."""
    for begun in (1, 2, EVEN_STARTS, 500):
        later = sum(math.exp(log_stake(index)) for index in range(2, begun + 1))
        assert 0.78 * (1 + later) + 0.22 * cash_left(begun) == pytest.approx(1.0, rel=1e-12)


def test_starts_become_rare_after_many() -> None:
    """A start is due every 50 candidate images, then less often, so that late ones still have something to stake."""
    wealth = open_wealth(1)
    spacings = []
    for _ in range(120):
        spacings.append(wealth.images_to_start)
        wealth = restart(wealth)
    assert spacings[:79] == [50] * 79
    assert spacings[79:] == [100] * 40 + [150]


def test_logs_of_sums_do_not_overflow() -> None:
    """Huge, tiny and absent logs have finite or minus infinite results."""
    assert log_sum([1e6, 1e6]) == pytest.approx(1e6 + math.log(2.0))
    assert log_mean([-1e6, -1e6]) == pytest.approx(-1e6)
    assert log_sum([]) == -math.inf
    assert clip_log(1e9) == 300.0
    assert clip_log(-math.inf) == -300.0
