"""The course of a mixture: its values, and the bound that saves working them out."""

import math

import numpy as np
import pytest

from controller.stats.course import Course, Piece, known
from controller.stats.wealth import LOG_E_LIMIT

TOTALS = np.array([[0.0, 1.0, 3.0, -2.0, 0.5], [0.5, -1.0, 2.0, 4.0, 0.1]])
FIRST = Piece(0, 2, np.log([0.5, 0.25]), math.log(0.25))
SECOND = Piece(2, 5, np.log([0.6, 0.3]), math.log(0.1))


def test_values_are_the_mixture_written_out() -> None:
    """Window by window, with the weights and the cash of its piece."""
    found = Course(lambda: TOTALS, [FIRST, SECOND]).values()
    for at in range(5):
        piece = FIRST if at < 2 else SECOND
        total = math.exp(piece.cash) + sum(math.exp(TOTALS[k, at] + piece.weights[k]) for k in range(2))
        assert found[at] == pytest.approx(math.log(total))


def test_the_bound_takes_each_bet_at_its_best_within_a_piece() -> None:
    """It is the highest over pieces of the mixture of the bets' own highest log wealth, and never too low."""
    course = Course(lambda: TOTALS, [FIRST, SECOND])
    tops = [(FIRST, (1.0, 0.5)), (SECOND, (3.0, 4.0))]
    expected = [
        math.log(
            math.exp(piece.cash) + sum(math.exp(top + weight) for top, weight in zip(best, piece.weights, strict=True))
        )
        for piece, best in tops
    ]
    assert course.bound() == pytest.approx(max(expected))
    assert course.bound() >= course.values().max()
    assert Course(lambda: TOTALS[:, :2], [FIRST]).bound() == pytest.approx(expected[0])


def test_known_values_are_their_own_course() -> None:
    """Of values that are known, the bound is the highest; of none there is none."""
    course = known(np.array([0.5, -3.0, 2.0]))
    assert course.values().tolist() == [0.5, -3.0, 2.0]
    assert course.bound() == 2.0
    assert known(np.zeros(0)).values().tolist() == []
    assert known(np.zeros(0)).bound() == -math.inf


def test_what_is_beyond_the_limits_stays_at_them() -> None:
    """Values and bound are clipped as every reported log e-value is."""
    course = Course(lambda: np.array([[1000.0, -1000.0]]), [Piece(0, 2, np.zeros(1), -math.inf)])
    assert course.values().tolist() == [LOG_E_LIMIT, -LOG_E_LIMIT]
    assert course.bound() == LOG_E_LIMIT
