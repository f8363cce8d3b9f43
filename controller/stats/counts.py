"""Requests over cells, as arrays: what a tally becomes where it is reckoned with.

A tally travels as a dictionary. Here a count is a row of numbers over the range of cells that occur, so that reading a
window costs little more when it holds a hundred thousand outcomes than when it holds a hundred.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from controller.stats.bins import LOG_HIGHEST, LOG_LOWEST, SCORE_CELLS, Axis, value_of
from controller.stats.portable import Floats, total
from controller.stats.tally import Cells

Ints = NDArray[np.int64]
_FIRST_CELL = {Axis.LOG: LOG_LOWEST, Axis.SCORE: 0, Axis.BINARY: 0}
_LAST_CELL = {Axis.LOG: LOG_HIGHEST, Axis.SCORE: SCORE_CELLS, Axis.BINARY: 1}


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """`weight[i]`: requests at cell `low + i` (integers), or what they weigh (floats)."""

    low: int
    weight: NDArray[Any]

    __hash__ = None  # type: ignore[assignment]  # arrays can change

    @classmethod
    def none(cls) -> Self:
        """Return no request at all."""
        return cls(0, np.zeros(0, dtype=np.int64))

    @classmethod
    def of(cls, cells: Mapping[int, float]) -> Self:
        """Return the counts of a dictionary."""
        if not cells:
            return cls.none()
        low = min(cells)
        return cls(low, np.array([cells.get(cell, 0) for cell in range(low, max(cells) + 1)]))

    @property
    def occupied(self) -> Ints:
        """Return the places (not cells) with weight, in order."""
        return np.flatnonzero(self.weight)

    @property
    def highest(self) -> int | None:
        """Return the highest cell with weight."""
        from_above = self.weight[::-1] != 0
        place = int(from_above.argmax()) if len(from_above) else 0
        return self.low + len(from_above) - 1 - place if len(from_above) and from_above[place] else None

    def cells(self) -> dict[int, float]:
        """Return the weight at each cell that has any."""
        occupied = self.occupied
        return dict(zip((self.low + occupied).tolist(), self.weight[occupied].tolist(), strict=True))

    def below(self, cell: int) -> int:
        """Return the requests below a cell."""
        return int(self.weight[: max(0, cell - self.low)].sum())

    def below_each(self, cells: Ints) -> Ints:
        """Return the requests below each of some cells."""
        reached = np.append(0, np.add.accumulate(self.weight))
        return np.asarray(reached[np.clip(cells - self.low, 0, len(self.weight))])

    def quantile(self, level: float) -> int:
        """Return the first cell at which the weight reaches `level` of the whole; needs a positive weight."""
        reached = np.add.accumulate(self.weight)
        return self.low + int(np.searchsorted(reached, level * reached[-1]))

    def value(self, axis: Axis) -> float:
        """Return the sum of the values that the cells stand for, each with its weight."""
        return float(total(self.weight * values(axis, self.low, len(self.weight))))

    def times(self, weight: float) -> "Counts":
        """Return the counts, each request weighing so much."""
        return Counts(self.low, weight * self.weight)

    def __add__(self, other: "Counts") -> "Counts":
        """Return the counts of both."""
        if not len(self.weight) or not len(other.weight):
            return self if len(self.weight) else other
        low, width = _span(self.low, len(self.weight), other.low, len(other.weight))
        return Counts(low, _spread(self, low, width) + _spread(other, low, width))

    def __eq__(self, other: object) -> bool:
        """Say whether every cell has the same weight."""
        return isinstance(other, Counts) and self.cells() == other.cells()


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """`n[k, i]`: requests of class `names[k]` at cell `low + i`; the names are in order.

    There are requests at the first cell and at the last, so that equal counts are equal arrays but for empty classes.
    """

    names: tuple[str, ...]
    low: int
    n: Ints

    __hash__ = None  # type: ignore[assignment]  # arrays can change

    @classmethod
    def none(cls) -> Self:
        """Return no class at all."""
        return cls((), 0, np.zeros((0, 0), dtype=np.int64))

    @classmethod
    def of(cls, classes: Mapping[str, Cells]) -> Self:
        """Return the counts of each class's cells; ValueError for a cell that no axis has."""
        names = tuple(sorted(classes))
        parts = [classes[name] for name in names]
        lengths = [len(part) for part in parts]
        if not sum(lengths):
            return cls(names, 0, np.zeros((len(names), 0), dtype=np.int64))
        cell = np.fromiter(chain.from_iterable(parts), np.int64, sum(lengths))
        n = np.fromiter(chain.from_iterable([part.values() for part in parts]), np.int64, sum(lengths))
        low, high = int(cell.min()), int(cell.max())
        if low < LOG_LOWEST or high > LOG_HIGHEST:
            raise ValueError(f"cells {low} to {high}: no axis has cells beyond {LOG_LOWEST} to {LOG_HIGHEST}")
        table = np.zeros((len(names), high - low + 1), dtype=np.int64)
        table[np.repeat(np.arange(len(names)), lengths), cell - low] = n
        return cls(names, low, table)

    @cached_property
    def sizes(self) -> Ints:
        """Return the requests of each class."""
        return np.asarray(self.n.sum(axis=1))

    @cached_property
    def total(self) -> int:
        """Return the requests of all classes."""
        return int(self.sizes.sum())

    @cached_property
    def pooled(self) -> Counts:
        """Return the requests of all classes over cells."""
        return Counts(self.low, self.n.sum(axis=0))

    def classes(self) -> dict[str, dict[int, int]]:
        """Return class -> cell -> requests, without what there is none of."""
        rows = {name: Counts(self.low, row).cells() for name, row in zip(self.names, self.n, strict=True)}
        return {name: {cell: int(n) for cell, n in cells.items()} for name, cells in rows.items() if cells}

    def lowered(self, by: Ints) -> Counts:
        """Return the requests of all classes over cells lowered by a number of cells for each class."""
        if not self.n.size:
            return Counts.none()
        width = self.n.shape[1]
        low = self.low - int(by.max())
        pooled = np.zeros(int(by.max() - by.min()) + width, dtype=np.int64)
        for first, row in zip((self.low - low - by).tolist(), self.n, strict=True):
            pooled[first : first + width] += row
        return Counts(low, pooled)

    def quantiles(self, level: float) -> Ints:
        """Return, for each class, what `Counts.quantile` does; meaningless for a class without requests."""
        reached = np.add.accumulate(self.n, axis=1)
        return np.asarray(self.low + (reached >= level * reached[:, -1:]).argmax(axis=1))

    def with_late(self, cell: Ints, n: Ints) -> "ClassCounts":
        """Return the counts with `n[k]` more requests of class k at `cell[k]`."""
        rows = np.flatnonzero(n)
        if not len(rows):
            return self
        low = int(cell[rows].min())
        late = np.zeros((len(self.names), int(cell[rows].max()) - low + 1), dtype=np.int64)
        late[rows, cell[rows] - low] = n[rows]
        return self + ClassCounts(self.names, low, late)

    def __add__(self, other: "ClassCounts") -> "ClassCounts":
        """Return the counts of both."""
        if not self.n.size or not other.n.size:
            return self if self.n.size else other
        low, width = _span(self.low, self.n.shape[1], other.low, other.n.shape[1])
        names = self.names if self.names == other.names else tuple(sorted({*self.names, *other.names}))
        table = np.zeros((len(names), width), dtype=np.int64)
        for part in (self, other):
            rows = slice(None) if part.names == names else [names.index(name) for name in part.names]
            table[rows, part.low - low : part.low - low + part.n.shape[1]] += part.n
        return ClassCounts(names, low, table)

    def __eq__(self, other: object) -> bool:
        """Say whether every class has the same requests at every cell."""
        return isinstance(other, ClassCounts) and self.classes() == other.classes()


def values(axis: Axis, low: int, width: int) -> Floats:
    """Return the values that stand for the cells low..low + width - 1; ValueError where the axis has no such cells."""
    first, found = low - _FIRST_CELL[axis], _values(axis)
    if width and (first < 0 or first + width > len(found)):
        raise ValueError(f"cells {low} to {low + width - 1} lie outside the {axis} axis")
    return found[first : first + width]


@lru_cache
def _values(axis: Axis) -> Floats:
    """Return the value of every cell, each from `bins.value_of`: numpy's powers round otherwise."""
    return np.array([value_of(axis, cell) for cell in range(_FIRST_CELL[axis], _LAST_CELL[axis] + 1)])


def _span(low: int, width: int, other_low: int, other_width: int) -> tuple[int, int]:
    """Return the first cell and the width of what holds both ranges."""
    first = min(low, other_low)
    return first, max(low + width, other_low + other_width) - first


def _spread(counts: Counts, low: int, width: int) -> NDArray[Any]:
    """Return the weights over a wider range of cells."""
    if len(counts.weight) == width:
        return counts.weight
    wide = np.zeros(width, dtype=counts.weight.dtype)
    wide[counts.low - low : counts.low - low + len(counts.weight)] = counts.weight
    return wide
