"""Many windows' outcomes of one metric as columns: what `batch` folds at once.

A row stands for `n` alike requests. The same facts as in a row of `WindowTally`s, in the form that numpy reads.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from controller.stats.bins import CELLS_PER_DECADE, LOG_HIGHEST, LOG_LOWEST, SCORE_CELLS, Axis
from controller.stats.tally import Arm, ClassTally, WindowTally

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Number = TypeVar("Number", Floats, Ints)

NO_VALUE = 2**30
"""The cell of requests without a value: beyond every threshold."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows ordered by window.

    `windows`: the numbers of the windows, increasing, none without a request; `starts`: the first row of each, and
    the number of rows; `candidate`, `kind` (an index into `names`), `cell` (NO_VALUE where there is none), `n` per
    row; `known_s`: seconds after the window's end at which a row's value is known, for metrics that are the
    request's own age.
    """

    windows: Ints
    starts: Ints
    names: tuple[str, ...]
    candidate: Bools
    kind: Ints
    cell: Ints
    n: Ints
    known_s: Floats | None = None

    def part(self, first: int, last: int) -> "Columns":
        """Return the windows first..last - 1 (positions, not numbers)."""
        rows = slice(int(self.starts[first]), int(self.starts[last]))
        return Columns(
            windows=self.windows[first:last],
            starts=self.starts[first : last + 1] - self.starts[first],
            names=self.names,
            candidate=self.candidate[rows],
            kind=self.kind[rows],
            cell=self.cell[rows],
            n=self.n[rows],
            known_s=None if self.known_s is None else self.known_s[rows],
        )

    def swapped(self) -> "Columns":
        """Return the columns with the arms exchanged."""
        return Columns(
            self.windows, self.starts, self.names, ~self.candidate, self.kind, self.cell, self.n, self.known_s
        )

    def sums(self, per_row: Number) -> Number:
        """Return the sum of each window's rows, along the last axis."""
        if per_row.shape[-1] == len(self.windows):
            return per_row
        return np.add.reduceat(per_row, self.starts[:-1], axis=-1)

    def by_row(self, per_window: Number) -> Number:
        """Return each window's value for each of its rows, along the last axis."""
        if len(self.cell) == len(self.windows):
            return per_window
        return np.repeat(per_window, np.diff(self.starts), axis=-1)


def cells_of(axis: Axis, values: Floats) -> Ints:
    """Return the cell of each value, as `bins.cell_of` does one by one; values must be fit for the axis."""
    match axis:
        case Axis.LOG:
            return log_cells(np.log(np.maximum(values, 1e-300)))
        case Axis.SCORE:
            return np.rint(values * SCORE_CELLS).astype(np.int64)
        case Axis.BINARY:
            return values.astype(np.int64)


def log_cells(logs: Floats) -> Ints:
    """Return the LOG cell of each value given as its natural logarithm."""
    cells = np.floor(logs * (CELLS_PER_DECADE / math.log(10.0)))
    return np.clip(cells, LOG_LOWEST, LOG_HIGHEST).astype(np.int64)


def values_of(axis: Axis, cells: Ints) -> Floats:
    """Return the value that stands for each cell, as `bins.value_of` does one by one."""
    match axis:
        case Axis.LOG:
            return np.asarray(10.0 ** ((cells + 0.5) / CELLS_PER_DECADE))
        case Axis.SCORE:
            return cells / SCORE_CELLS
        case Axis.BINARY:
            return cells.astype(np.float64)


def columns_of(tallies: Mapping[int, WindowTally], metric: str) -> Columns:
    """Return the columns of one metric of tallies, by window number; windows without a request are left out."""
    rows: list[tuple[int, bool, str, int, int]] = []
    for window in sorted(tallies):
        for arm, classes in sorted(tallies[window].arms.items()):
            for name, tally in sorted(classes.items()):
                rows += [(window, arm is Arm.CANDIDATE, name, cell, n) for cell, n in _outcomes(tally, metric)]
    names = tuple(sorted({row[2] for row in rows}))
    windows, starts = np.unique(np.array([row[0] for row in rows], dtype=np.int64), return_index=True)
    return Columns(
        windows=windows,
        starts=np.append(starts, len(rows)),
        names=names,
        candidate=np.array([row[1] for row in rows], dtype=np.bool_),
        kind=np.array([names.index(row[2]) for row in rows], dtype=np.int64),
        cell=np.array([row[3] for row in rows], dtype=np.int64),
        n=np.array([row[4] for row in rows], dtype=np.int64),
    )


def _outcomes(tally: ClassTally, metric: str) -> Sequence[tuple[int, int]]:
    cells = tally.of(metric)
    without = tally.assigned - sum(cells.values())
    return [*sorted(cells.items()), *([(NO_VALUE, without)] if without > 0 else [])]
