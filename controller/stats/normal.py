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
from controller.stats.reading import Reading
from controller.stats.tally import Arm


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
    return Shifts(of_class, classes.pooled().quantile(0.5))


def normalised(classes: ClassCounts, shifts: Shifts) -> Counts:
    """Return the counts of all classes over cells relative to the class median."""
    return classes.lowered(shifts.of_each(classes.names))


@dataclass(frozen=True, slots=True)
class ArmView:
    """One arm's outcomes in a reading, relative to the class medians.

    `cells`: resolved requests over normalised cells; `unresolved`: assigned requests without a value at the
    reading's age, which is beyond every threshold of interest; `raw`: resolved requests over plain cells;
    `raw_unresolved`: unresolved requests of each of its classes; `missing`: of those, requests known never to get a
    value.
    """

    assigned: int
    cells: Counts
    unresolved: int
    raw: ClassCounts
    raw_unresolved: Ints
    missing: int

    def below(self, cell: int) -> int:
        """Return the requests resolved below a normalised cell."""
        return self.cells.below(cell)


@dataclass(frozen=True, slots=True)
class Views:
    """Both arms' latencies in a reading, relative to the same class medians."""

    shifts: Shifts
    candidate: ArmView
    incumbent: ArmView


def views(reading: Reading, metric: str, shifts: Shifts) -> Views:
    """Return what a reading says of both arms' latencies."""
    return Views(shifts, _view(reading, Arm.CANDIDATE, metric, shifts), _view(reading, Arm.INCUMBENT, metric, shifts))


def _view(reading: Reading, arm: Arm, metric: str, shifts: Shifts) -> ArmView:
    classes, raw = reading.tally.arms.get(arm, {}), reading.counts(metric, arm)
    resolved = raw.sizes
    assigned = np.array([classes[name].assigned for name in raw.names], dtype=np.int64)
    unresolved = np.maximum(0, assigned - resolved)
    return ArmView(
        assigned=int(resolved.sum() + unresolved.sum()),
        cells=normalised(raw, shifts),
        unresolved=int(unresolved.sum()),
        raw=raw,
        raw_unresolved=unresolved,
        missing=sum([sum(item.missing.get(metric, {}).values()) for item in classes.values()]),
    )


def with_unresolved(seen: ArmView, shifts: Shifts, cell: int) -> ClassCounts:
    """Return plain counts per class with the unresolved requests placed at a normalised cell."""
    return seen.raw.with_late(cell + shifts.of_each(seen.raw.names), seen.raw_unresolved) if seen.unresolved else seen.raw
