"""The incumbent's recent outcomes, from which thresholds, class medians and centres are tuned.

Two generations of per-class counts follow drift in bounded memory: when the recent one is twice as large as
the older one, or holds GENERATION requests, it replaces it. So a short record from before the rollout, taken
under another load (all traffic on one arm, a model being loaded beside it), is soon outgrown, and a long one is
kept. Tuning constants cost power when wrong, never validity (P4 of statistics.md §0.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.stats.tally import Cells, add_cells

GENERATION = 4000
FIRST_GENERATION = 50
MIN_CLASS = 20
MAX_CLASSES = 16
RETUNE_LEAST, RETUNE_MOST = 20, 500

ClassCells = Mapping[str, Cells]


@dataclass(frozen=True, slots=True)
class Baseline:
    """Counts per request class; `n_untuned` requests came in since the last tuning."""

    older: ClassCells = field(default_factory=dict)
    recent: ClassCells = field(default_factory=dict)
    n_older: int = 0
    n_recent: int = 0
    n_untuned: int = 0

    @property
    def n(self) -> int:
        """Return the requests counted."""
        return self.n_older + self.n_recent

    @property
    def capacity(self) -> int:
        """Return how many requests the recent generation takes before it replaces the older one."""
        return min(GENERATION, max(FIRST_GENERATION, 2 * self.n_older))

    @property
    def wants_tuning(self) -> bool:
        """Say whether the sample grew by a tenth, between RETUNE_LEAST and RETUNE_MOST requests."""
        return self.n_untuned >= min(max(RETUNE_LEAST, self.n // 10), RETUNE_MOST)

    def classes(self) -> dict[str, Cells]:
        """Return the counts of both generations."""
        return add_classes(self.older, self.recent)


def add_to_baseline(baseline: Baseline, more: ClassCells) -> Baseline:
    """Count more incumbent requests and turn the generation when it is full."""
    n_more = count(more)
    recent, n_recent = add_classes(baseline.recent, more), baseline.n_recent + n_more
    older, n_older = baseline.older, baseline.n_older
    if n_recent >= baseline.capacity:
        older, n_older, recent, n_recent = recent, n_recent, {}, 0
    return Baseline(older, recent, n_older, n_recent, baseline.n_untuned + n_more)


def tuned(baseline: Baseline) -> Baseline:
    """Note that the tuning constants now reflect every request counted."""
    return Baseline(baseline.older, baseline.recent, baseline.n_older, baseline.n_recent, 0)


def add_classes(left: ClassCells, right: ClassCells) -> dict[str, Cells]:
    """Add counts per class, sharing the classes that do not change."""
    total = dict(left)
    for name, cells in right.items():
        if cells:
            total[name] = add_cells(total[name], cells) if name in total else cells
    return total


def count(classes: ClassCells) -> int:
    """Return the requests in all classes."""
    return sum(sum(cells.values()) for cells in classes.values())


def pooled(classes: ClassCells) -> dict[int, int]:
    """Return the counts of all classes together."""
    total: dict[int, int] = {}
    for cells in classes.values():
        total = add_cells(total, cells)
    return total


def known_classes(classes: ClassCells) -> tuple[str, ...]:
    """Return the classes with MIN_CLASS requests, at most the MAX_CLASSES largest, in a fixed order."""
    sizes = {name: sum(cells.values()) for name, cells in classes.items()}
    large = [name for name in sizes if sizes[name] >= MIN_CLASS]
    return tuple(sorted(large, key=lambda name: (-sizes[name], name))[:MAX_CLASSES])


def quantile_cell(cells: Mapping[int, float], level: float) -> int:
    """Return the first cell at which the weight reaches `level` of the whole; needs a positive weight."""
    ordered = sorted(cell for cell in cells if cells[cell] > 0)
    target, reached = level * sum(cells[cell] for cell in ordered), 0.0
    for cell in ordered[:-1]:
        reached += cells[cell]
        if reached >= target:
            return cell
    return ordered[-1]
