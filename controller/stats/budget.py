"""One false-revert budget for a whole rollout (statistics.md §8.1).

The weighted average of the criteria's harm e-values is an e-value under arbitrary dependence, so reverting when it
reaches 1 / alpha holds the budget over all criteria, looks and stages together. Which criterion was the cause is
answered by closed testing with averages (Vovk and Wang 2021, e-values: calibration, combination and applications).
"""

import math
from collections.abc import Sequence

from controller.stats.elementary import log_of
from controller.stats.wealth import clip_log, log_sum


def combine(log_harms: Sequence[float], weights: Sequence[float]) -> float:
    """Return the log of the weighted average of e-values; weights are scaled to sum to 1.

    Nothing to combine is no evidence: 0. Weights must be at least 0 (ValueError).
    """
    total = _total(log_harms, weights)
    if total == 0:
        return 0.0
    terms = [log_e + log_of(weight / total) for log_e, weight in zip(log_harms, weights, strict=True) if weight > 0]
    return clip_log(log_sum(terms))


def attribute(log_harms: Sequence[float], weights: Sequence[float], alpha: float) -> tuple[int, ...]:
    """Return the indices whose null is rejected at `alpha` together with every intersection that contains it.

    For each criterion the smallest weighted average over the sets containing it is compared with 1 / alpha; the
    smallest is reached by adding the others in increasing order of their e-value.
    """
    _total(log_harms, weights)
    used = [index for index, weight in enumerate(weights) if weight > 0]
    by_value = sorted(used, key=lambda index: (log_harms[index], index))
    confirmed = []
    for index in used:
        members = [index]
        least = log_harms[index]
        for other in by_value:
            if other == index:
                continue
            members.append(other)
            least = min(least, combine([log_harms[m] for m in members], [weights[m] for m in members]))
        if least >= -log_of(alpha):
            confirmed.append(index)
    return tuple(confirmed)


def _total(log_harms: Sequence[float], weights: Sequence[float]) -> float:
    if len(log_harms) != len(weights):
        raise ValueError("give one weight per criterion")
    if any(not math.isfinite(weight) or weight < 0 for weight in weights):
        raise ValueError("weights must be finite and at least 0")
    return sum(weights)
