"""Latency relative to the incumbent's median of the same request class: a shift of LOG cells.

Dividing by the frozen class median is the largest gain in power there is (statistics.md §9.4) and keeps every
test valid: it is a monotone map of the outcome given the class. Classes without enough history use the pooled
median.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.stats.baseline import ClassCells, known_classes, pooled, quantile_cell
from controller.stats.tally import Arm, WindowTally, add_to


@dataclass(frozen=True, slots=True)
class Shifts:
    """Class -> cell of the incumbent's median; `other` serves classes without enough history."""

    of_class: Mapping[str, int]
    other: int

    def of(self, name: str) -> int:
        """Return the cells to subtract from an outcome of this class."""
        return self.of_class.get(name, self.other)

    @property
    def highest(self) -> int:
        """Return the shift of the slowest class."""
        return max((*self.of_class.values(), self.other))


def class_shifts(classes: ClassCells) -> Shifts:
    """Return the median cell of each known class; needs at least one request."""
    of_class = {name: quantile_cell(classes[name], 0.5) for name in known_classes(classes)}
    if of_class and len(classes) == 1:
        return Shifts(of_class, *of_class.values())
    return Shifts(of_class, quantile_cell(pooled(classes), 0.5))


def normalised(classes: ClassCells, shifts: Shifts) -> dict[int, int]:
    """Return the counts of all classes over cells relative to the class median."""
    total: dict[int, int] = {}
    for name, cells in classes.items():
        shift = shifts.of(name)
        add_to(total, {cell - shift: n for cell, n in cells.items()})
    return total


@dataclass(frozen=True, slots=True)
class ArmView:
    """One arm's outcomes in a reading, relative to the class medians.

    `cells`: resolved requests over normalised cells; `unresolved`: assigned requests without a value at the
    reading's age, which is beyond every threshold of interest; `raw`: resolved requests over plain cells;
    `raw_unresolved`: class -> unresolved requests; `missing`: of those, requests known never to get a value.
    """

    assigned: int
    cells: Mapping[int, int]
    unresolved: int
    raw: ClassCells
    raw_unresolved: Mapping[str, int]
    missing: int

    def below(self, cell: int) -> int:
        """Return the requests resolved below a normalised cell."""
        return sum(n for at, n in self.cells.items() if at < cell)


@dataclass(frozen=True, slots=True)
class Views:
    """Both arms' latencies in a reading, relative to the same class medians."""

    shifts: Shifts
    candidate: ArmView
    incumbent: ArmView


def views(tally: WindowTally, metric: str, shifts: Shifts) -> Views:
    """Return what a reading says of both arms' latencies."""
    return Views(shifts, view(tally, Arm.CANDIDATE, metric, shifts), view(tally, Arm.INCUMBENT, metric, shifts))


def view(tally: WindowTally, arm: Arm, metric: str, shifts: Shifts) -> ArmView:
    """Return what a reading says of one arm's latencies."""
    classes = tally.arms.get(arm, {})
    raw = {name: item.of(metric) for name, item in classes.items()}
    resolved = {name: sum(cells.values()) for name, cells in raw.items()}
    unresolved = {name: max(0, item.assigned - resolved[name]) for name, item in classes.items()}
    return ArmView(
        assigned=sum(resolved.values()) + sum(unresolved.values()),
        cells=normalised(raw, shifts),
        unresolved=sum(unresolved.values()),
        raw=raw,
        raw_unresolved=unresolved,
        missing=sum(sum(item.missing.get(metric, {}).values()) for item in classes.values()),
    )


def with_unresolved(seen: ArmView, shifts: Shifts, cell: int) -> dict[str, dict[int, int]]:
    """Return plain counts per class with the unresolved requests placed at a normalised cell."""
    total: dict[str, dict[int, int]] = {}
    for name, cells in seen.raw.items():
        total[name] = dict(cells)
        late = seen.raw_unresolved[name]
        if late > 0:
            at = cell + shifts.of(name)
            total[name][at] = total[name].get(at, 0) + late
    return total
