"""The test on the whole law: how much of the information in an image its best bet takes."""

import numpy as np
import pytest

from controller.stats.bins import Axis, cell_of
from controller.stats.counts import ClassCounts
from controller.stats.law import law_growth, tune_law
from controller.stats.reading import ArmView
from controller.stats.tally import Cells
from tests.benchmarks.decisions import floor
from tests.benchmarks.decisions.worlds import LATENCY
from tests.unit.stats.build import view

N = 10**7


def _counts(factor: float) -> dict[int, int]:
    """Return how many of N requests of the incumbent, slower by a factor, are expected in each cell."""
    grid, density = np.exp(floor._GRID), floor.density(LATENCY, factor) * floor._STEP
    counts: dict[int, float] = {}
    for value, mass in zip(grid.tolist(), density.tolist(), strict=True):
        counts[cell_of(Axis.LOG, value)] = counts.get(cell_of(Axis.LOG, value), 0.0) + N * mass
    return {cell: round(n) for cell, n in counts.items() if round(n)}


def _view(cells: Cells, centre: int) -> ArmView:
    return view(sum(cells.values()), {cell - centre: n for cell, n in cells.items()})


@pytest.mark.parametrize("share", [0.01, 0.10, 0.50])
@pytest.mark.parametrize(
    ("factor", "least"), [(1.05, 0.85), (1.1, 0.90), (1.25, 0.90), (1.5, 0.90), (2.0, 0.90), (3.5, 0.90)]
)
def test_the_best_bet_takes_most_of_the_information(share: float, factor: float, least: float) -> None:
    """Of lognormal latencies with a tail, one bet grows nearly as fast as any test could that knew the change."""
    incumbent, candidate = _counts(1.0), _counts(factor)
    tuning = tune_law(ClassCounts.of({"": incumbent}))
    centre = tuning.median.shifts.of("")
    grown = law_growth(share, tuning, _view(candidate, centre), _view({}, centre), 0)
    per_image = [more / N for more in grown]
    seen = law_growth(share, tuning, _view({}, centre), _view(incumbent, centre), 0)
    growth = [one + (1.0 - share) / share * more / N for one, more in zip(per_image, seen, strict=True)]
    information = floor.two_sample(floor.density(LATENCY, factor), floor.density(LATENCY), share)
    assert least <= max(growth) / information <= 1.0
