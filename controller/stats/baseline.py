"""The incumbent's recent outcomes, from which thresholds, class medians and centres are tuned.

Two generations of per-class counts follow drift in bounded memory: when the recent one is twice as large as
the older one, or holds GENERATION requests, it replaces it. So a short record from before the rollout, taken
under another load (all traffic on one arm, a model being loaded beside it), is soon outgrown, and a long one is
kept. Tuning constants cost power when wrong, never validity (P4 of statistics.md §0.1).
"""

from bisect import bisect_left
from dataclasses import dataclass, field

from controller.stats.counts import ClassCounts

GENERATION = 4000
FIRST_GENERATION = 50
MIN_CLASS = 20
MAX_CLASSES = 16
RETUNE_LEAST, RETUNE_MOST = 20, 1000


@dataclass(frozen=True, slots=True)
class Baseline:
    """Counts per request class; `n_untuned` requests came in since the last tuning."""

    older: ClassCounts = field(default_factory=ClassCounts.none)
    recent: ClassCounts = field(default_factory=ClassCounts.none)
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
        """Say whether there is enough to tune with and a fifth of it came in since the last tuning."""
        return self._wants_tuning(0)

    @property
    def until_change(self) -> int:
        """Return after how many more requests the constants or the generation change."""
        until_tuning = bisect_left(range(RETUNE_MOST), True, key=self._wants_tuning)
        return min(until_tuning, self.capacity - self.n_recent)

    def _wants_tuning(self, more: int) -> bool:
        """Say so of the sample with `more` requests; once it does, it does with still more too."""
        grown = min(max(RETUNE_LEAST, (self.n + more) // 5), RETUNE_MOST)
        return self.n + more >= MIN_CLASS and self.n_untuned + more >= grown

    def classes(self) -> ClassCounts:
        """Return the counts of both generations."""
        return self.older + self.recent


def add_to_baseline(baseline: Baseline, more: ClassCounts) -> Baseline:
    """Count more incumbent requests and turn the generation when it is full."""
    n_more = more.total
    recent, n_recent = baseline.recent + more, baseline.n_recent + n_more
    older, n_older = baseline.older, baseline.n_older
    if n_recent >= baseline.capacity:
        older, n_older, recent, n_recent = recent, n_recent, ClassCounts.none(), 0
    return Baseline(older, recent, n_older, n_recent, baseline.n_untuned + n_more)


def tuned(baseline: Baseline) -> Baseline:
    """Note that the tuning constants now reflect every request counted."""
    return Baseline(baseline.older, baseline.recent, baseline.n_older, baseline.n_recent, 0)


def known_classes(classes: ClassCounts) -> dict[str, int]:
    """Return the rows of the classes with MIN_CLASS requests, at most the MAX_CLASSES largest."""
    sizes = classes.sizes.tolist()
    rows = [row for row, size in enumerate(sizes) if size >= MIN_CLASS]
    return {classes.names[row]: row for row in sorted(rows, key=lambda row: -sizes[row])[:MAX_CLASSES]}
