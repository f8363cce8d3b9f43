"""Masses of cells are those of the laws that draw values."""

import numpy as np
import pytest

from controller.schema.laws import Law, Tail
from controller.sim import masses
from controller.sim.draws import draw_logs, draw_scores
from controller.stats.bins import LOG_LOWEST, Axis
from controller.stats.columns import cells_of, log_cells

QUANTITIES = {
    "lognormal": Law("lognormal", (0.86, 0.22)),
    "two lognormals": Law("lognormal", (0.86, 0.22), Tail(0.03, 1.455, 0.3)),
    "narrow": Law("lognormal", (0.86, 0.001)),
    "lognormal times Pareto": Law("lognormal", (0.01, 0.35), Tail(0.05, pareto=1.3)),
    "gamma": Law("gamma", (0.9, 30.0)),
    "gamma near 0": Law("gamma", (0.9, 0.1)),
    "gamma times Pareto": Law("gamma", (0.9, 30.0), Tail(0.02, pareto=3.0)),
    "Weibull": Law("weibull", (0.9, 1.8)),
    "file": Law("empirical", values=(0.0, 0.27, 0.47, 0.47, 2.57)),
    "file times Pareto": Law("empirical", values=(0.27, 0.47, 2.57), tail=Tail(0.2, pareto=2.0)),
}
SCORES = {
    "beta": Law("beta", (0.8, 10.0), exact_share=0.75),
    "file": Law("empirical", values=(0.2, 0.5, 1.0), exact_share=0.1),
}
N = 200_000


def distance(drawn: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference between the two laws' distribution functions, in its 1 in 1,000 bound's units."""
    return float(np.abs(np.cumsum(drawn / N - expected)).max()) * N**0.5 / 1.95


@pytest.mark.parametrize("shift", [0.0, 0.0931])
@pytest.mark.parametrize("name", QUANTITIES)
def test_quantities(name: str, shift: float) -> None:
    """Masses add up to 1, none is negative, and drawn values follow them (Kolmogorov and Smirnov)."""
    found = masses.quantity(QUANTITIES[name], shift)
    assert found is not None
    assert found.sum() == pytest.approx(1.0, abs=1e-9)
    assert found.min() >= -1e-15
    logs = draw_logs(QUANTITIES[name], np.random.default_rng(1), N) + shift
    assert distance(np.bincount(log_cells(logs) - LOG_LOWEST, minlength=len(found)), found) < 1


@pytest.mark.parametrize("name", SCORES)
def test_scores(name: str) -> None:
    """The same for scores, with the mass at 1."""
    found = masses.score(SCORES[name])
    assert found is not None
    assert found.sum() == pytest.approx(1.0, abs=1e-9)
    scores = draw_scores(SCORES[name], np.random.default_rng(2), N)
    assert distance(np.bincount(cells_of(Axis.SCORE, scores), minlength=len(found)), found) < 1


def test_a_law_that_no_quadrature_holds_has_no_masses() -> None:
    """A density without a bound at an end is refused, not approximated."""
    assert masses.score(Law("beta", (0.8, 1.0))) is None
    assert masses.quantity(Law("gamma", (0.9, 1e7)), 0.0) is None
