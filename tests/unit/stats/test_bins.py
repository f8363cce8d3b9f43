import math

import pytest

from controller.stats.bins import LOG_HIGHEST, LOG_LOWEST, Axis, cell_of, lower_edge, ratio_cells, value_of


def test_a_log_cell_is_one_percent_wide() -> None:
    """A cell's edges differ by less than one percent."""
    assert lower_edge(1) / lower_edge(0) - 1 < 0.01


@pytest.mark.parametrize("value", [0.0, 1e-300, 1e-7])
def test_tiny_quantities_share_the_lowest_cell(value: float) -> None:
    """Zero and everything below 1e-7 lie in the first cell."""
    assert cell_of(Axis.LOG, value) == LOG_LOWEST


def test_huge_quantities_share_the_highest_cell() -> None:
    """Everything beyond 1e4 lies in the last cell."""
    assert cell_of(Axis.LOG, 1e300) == LOG_HIGHEST


@pytest.mark.parametrize("axis", list(Axis))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1])
def test_absurd_values_are_refused(axis: Axis, value: float) -> None:
    """NaN, infinite and negative values have no cell on any axis."""
    with pytest.raises(ValueError, match="not a finite value"):
        cell_of(axis, value)


def test_scores_above_one_and_odd_flags_are_refused() -> None:
    """A score above 1 and a flag that is neither 0 nor 1 have no cell."""
    with pytest.raises(ValueError, match="score"):
        cell_of(Axis.SCORE, 1.01)
    with pytest.raises(ValueError, match="neither"):
        cell_of(Axis.BINARY, 0.5)


def test_perfect_and_worst_scores_are_exact() -> None:
    """Scores of 0 and 1 are represented exactly."""
    assert [value_of(Axis.SCORE, cell_of(Axis.SCORE, score)) for score in (0.0, 1.0)] == [0.0, 1.0]
    assert [value_of(Axis.BINARY, cell_of(Axis.BINARY, flag)) for flag in (0.0, 1.0)] == [0.0, 1.0]


def test_ratio_is_rounded_up_to_whole_cells() -> None:
    """An allowed ratio spans at least as much as declared, and exactly one cell when it is one."""
    assert 10.0 ** (ratio_cells(1.1) / 232) >= 1.1
    assert ratio_cells(lower_edge(1)) == 1
    assert ratio_cells(1.0) == 0
