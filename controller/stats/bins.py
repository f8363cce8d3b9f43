"""The fixed bins that every process shares.

A value becomes an integer cell once, where it is measured; from then on only integers travel, so merging is
addition and a replay is exact on any machine. Three axes:

- ``LOG``: positive quantities (seconds, dollars, GiB), 232 cells a decade (0.998 % wide), cell k holds
  [10^(k/232), 10^((k+1)/232)). The first and last cell also hold everything beyond them.
- ``SCORE``: scores in [0, 1], cell k stands for k/200, so 0 and 1 are represented exactly.
- ``BINARY``: yes/no, cells 0 and 1.
"""

import math
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache

from controller.stats.elementary import exp_of, log_of

CELLS_PER_DECADE = 232
NATS_PER_CELL = log_of(10.0) / CELLS_PER_DECADE
LOG_LOWEST = -7 * CELLS_PER_DECADE  # 1e-7
LOG_HIGHEST = 4 * CELLS_PER_DECADE  # 1e4
SCORE_CELLS = 200


class Axis(StrEnum):
    """How a metric's values are cut into cells."""

    LOG = "log"
    SCORE = "score"
    BINARY = "binary"


def cell_of(axis: Axis, value: float) -> int:
    """Return the cell that holds `value`.

    A value the axis cannot hold (NaN, infinite, negative, a score outside [0, 1], a flag that is neither 0 nor 1)
    raises ValueError.
    """
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{value!r} is not a finite value of at least 0")
    match axis:
        case Axis.LOG:
            if value <= 10.0 ** (LOG_LOWEST / CELLS_PER_DECADE):
                return LOG_LOWEST
            return min(math.floor(math.log10(value) * CELLS_PER_DECADE), LOG_HIGHEST)
        case Axis.SCORE:
            if value > 1:
                raise ValueError(f"{value!r} is not a score in [0, 1]")
            return round(value * SCORE_CELLS)
        case Axis.BINARY:
            if value not in {0, 1}:
                raise ValueError(f"{value!r} is neither 0 nor 1")
            return int(value)


def value_of(axis: Axis, cell: int) -> float:
    """Return the value that stands for a cell: the geometric middle on LOG, the exact value elsewhere."""
    return meaning(axis)(cell)


def meaning(axis: Axis) -> Callable[[int], float]:
    """Return the function that gives the value of a cell."""
    match axis:
        case Axis.LOG:
            return _middle
        case Axis.SCORE:
            return _score
        case Axis.BINARY:
            return float


@lru_cache(maxsize=2**13)
def _middle(cell: int) -> float:
    return exp_of((cell + 0.5) * NATS_PER_CELL)


def _score(cell: int) -> float:
    return cell / SCORE_CELLS


def lower_edge(cell: int) -> float:
    """Return the smallest value that a LOG cell holds."""
    return float(10.0 ** (cell / CELLS_PER_DECADE))


def ratio_cells(ratio: float) -> int:
    """Return how many LOG cells a ratio spans, rounded up, which favours the candidate."""
    return math.ceil(math.log10(ratio) * CELLS_PER_DECADE - 1e-9)
