"""What a criterion reads: a window of an epoch, merged over the gateways' replicas."""

from dataclasses import dataclass, field

from controller.stats.counts import ClassCounts
from controller.stats.tally import Arm, WindowTally


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

    def counts(self, metric: str, arm: Arm) -> ClassCounts:
        """Return an arm's outcomes; worked out once for all the criteria that read the same metric."""
        found = self._counts.get((metric, arm))
        if found is None:
            classes = self.tally.arms.get(arm, {})
            found = ClassCounts.of({name: item.of(metric) for name, item in classes.items()})
            self._counts[metric, arm] = found
        return found
