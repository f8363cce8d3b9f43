"""How many pairs a pass takes at least: of a candidate that is the incumbent, on a machine without noise."""

import math

from controller.core.judge import setting_of
from controller.core.policy import METRICS, Budget, Criterion
from controller.stats import pair_criterion
from controller.stats.bins import Axis

PERFECT = {Axis.LOG: 1e-6, Axis.BINARY: 0.0, Axis.SCORE: 1.0}
"""Values that no absolute limit is nearer to than any other; between equal arms they only have to be equal."""


def pairs_to_pass(item: Criterion, budget: Budget, most: int) -> int | None:
    """Return after how many of `most` equal and perfect pairs a criterion passes, None when not by then."""
    state = pair_criterion.start(setting_of(item, 1.0))
    value, log_needed = PERFECT[METRICS[item.metric].axis], -math.log(budget.false_promote)
    for n in range(1, most + 1):
        state = pair_criterion.fold(state, value, value)
        if pair_criterion.log_evidence(state)[1] >= log_needed:
            return n
    return None
