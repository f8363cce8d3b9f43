"""What a criterion reads: a window of an epoch, merged over the gateways' replicas.

Several criteria read the same metric; what they see alike is worked out once.
"""

from dataclasses import dataclass, field

import numpy as np

from controller.stats.counts import ClassCounts, Counts, Ints
from controller.stats.normal import Shifts, normalised
from controller.stats.tally import Arm, WindowTally


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


@dataclass(frozen=True, slots=True)
class Reading:
    """One (epoch, window) unit, merged over replicas, as read at the criterion's age.

    `share`: recorded probability of the candidate arm in this epoch; 0 and 1 carry no comparison.
    """

    epoch: int
    window: int
    share: float
    tally: WindowTally
    _counts: dict[tuple[str, Arm], ClassCounts] = field(default_factory=dict, init=False, repr=False, compare=False)
    _views: dict[str, list[Views]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def counts(self, metric: str, arm: Arm) -> ClassCounts:
        """Return an arm's outcomes of a metric."""
        found = self._counts.get((metric, arm))
        if found is None:
            classes = self.tally.arms.get(arm, {})
            found = ClassCounts.of({name: item.of(metric) for name, item in classes.items()})
            self._counts[metric, arm] = found
        return found

    def views(self, metric: str, shifts: Shifts) -> Views:
        """Return both arms' latencies relative to class medians."""
        known = self._views.setdefault(metric, [])
        found = next((views for views in known if views.shifts == shifts), None)
        if found is None:
            found = Views(shifts, self._view(metric, Arm.CANDIDATE, shifts), self._view(metric, Arm.INCUMBENT, shifts))
            known.append(found)
        return found

    def _view(self, metric: str, arm: Arm, shifts: Shifts) -> ArmView:
        classes, raw = self.tally.arms.get(arm, {}), self.counts(metric, arm)
        assigned = np.array([classes[name].assigned for name in raw.names], dtype=np.int64)
        unresolved = np.maximum(0, assigned - raw.sizes)
        n_unresolved = int(unresolved.sum())
        return ArmView(
            assigned=raw.total + n_unresolved,
            cells=normalised(raw, shifts),
            unresolved=n_unresolved,
            raw=raw,
            raw_unresolved=unresolved,
            missing=sum([sum(item.missing.get(metric, {}).values()) for item in classes.values()]),
        )


def with_unresolved(seen: ArmView, shifts: Shifts, cell: int) -> ClassCounts:
    """Return plain counts per class with the unresolved requests placed at a normalised cell."""
    return seen.raw.with_late(cell + shifts.of_each(seen.raw.names), seen.raw_unresolved)
