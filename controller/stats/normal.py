"""Latency relative to the incumbent's median of the same request class: a shift of LOG cells.

Dividing by the frozen class median is the largest gain in power there is (statistics.md §9.4) and keeps every
test valid: it is a monotone map of the outcome given the class. Classes without enough history use the pooled
median.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from controller.stats.baseline import known_classes
from controller.stats.counts import ClassCounts, Counts, Ints


@dataclass(frozen=True, slots=True)
class Shifts:
    """Class -> cell of the incumbent's median; `other` serves classes without enough history."""

    of_class: Mapping[str, int]
    other: int

    def of(self, name: str) -> int:
        """Return the cells to subtract from an outcome of this class."""
        return self.of_class.get(name, self.other)

    def of_each(self, names: Sequence[str]) -> Ints:
        """Return the cells to subtract for each of some classes."""
        return np.array([self.of_class.get(name, self.other) for name in names], dtype=np.int64)

    @property
    def highest(self) -> int:
        """Return the shift of the slowest class."""
        return max((*self.of_class.values(), self.other))


def class_shifts(classes: ClassCounts) -> Shifts:
    """Return the median cell of each known class; needs at least one request."""
    medians = classes.quantiles(0.5).tolist()
    of_class = {name: medians[row] for name, row in known_classes(classes).items()}
    return Shifts(of_class, classes.pooled.quantile(0.5))


def normalised(classes: ClassCounts, shifts: Shifts) -> Counts:
    """Return the counts of all classes over cells relative to the class median."""
    return classes.lowered(shifts.of_each(classes.names))
