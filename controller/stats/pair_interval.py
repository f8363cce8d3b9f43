"""The change between two arms of a bench with bounds that hold at every pair (statistics.md §9.4).

The bounds invert the very tests that judge: a change is inside while neither "more than it" nor "less than it" has an
e-value of 2 / alpha. By Ville's inequality the true change is outside at any pair, ever, with probability at most
alpha, under the nulls of `pair_criterion`. The whole law has no bounds (its scale moves with the margin, so its test
is not monotone in it), nor has a limit.
"""

import math
from collections.abc import Callable
from dataclasses import replace

from controller.stats import pair_criterion, paired
from controller.stats.bins import Axis
from controller.stats.pair_criterion import PairState
from controller.stats.setting import Kind

ALPHA = 0.05
HIGHEST_RATIO = 64.0
"""Ratios beyond it, or below its reciprocal, have no bound."""
HALVINGS = 12
"""To 0.2 % of a ratio, 0.0005 of a difference."""
_EDGE = 0.999

_Evidence = Callable[[float], tuple[float, float]]


def change_bounds(state: PairState, alpha: float = ALPHA) -> tuple[float | None, float | None]:
    """Return the lowest and highest change the pairs allow, as a ratio or in the metric's unit; None is unbounded.

    Time: linear in the pairs, `2 HALVINGS` times what folding them took.
    """
    setting = state.setting
    if setting.max_ratio is not None and setting.kind is not Kind.LAW:
        least, most = _crossing(lambda log_ratio: _at_ratio(state, math.exp(log_ratio)), math.log(HIGHEST_RATIO), alpha)
        return _exp(least), _exp(most)
    if setting.kind is not Kind.MEAN or setting.axis is Axis.LOG:
        return None, None
    least, most = _crossing(lambda margin: _at_difference(state, margin), _EDGE, alpha)
    if setting.higher_is_worse:
        return least, most
    return _negative(most), _negative(least)


def _crossing(evidence: _Evidence, reach: float, alpha: float) -> tuple[float | None, float | None]:
    """Return the last margin in [-reach, reach] beyond which the change is proven to lie, and the first it is within.

    Evidence of harm falls with the margin, evidence of safety grows.
    """
    needed = math.log(2.0 / alpha)
    least = most = None
    if evidence(-reach)[0] >= needed:
        least = _bisect(lambda margin: evidence(margin)[0] >= needed, -reach, reach)
    if evidence(reach)[1] >= needed:
        most = _bisect(lambda margin: evidence(margin)[1] >= needed, reach, -reach)
    return least, most


def _bisect(holds: Callable[[float], bool], inside: float, outside: float) -> float:
    """Return the end of where `holds` does, rounded towards `inside`, where it does."""
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2.0
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside


def _at_ratio(state: PairState, ratio: float) -> tuple[float, float]:
    refolded = pair_criterion.start(replace(state.setting, max_ratio=ratio))
    for incumbent, candidate in zip(state.incumbent, state.candidate, strict=True):
        refolded = pair_criterion.fold(refolded, incumbent, candidate)
    return pair_criterion.log_evidence(refolded)


def _at_difference(state: PairState, margin: float) -> tuple[float, float]:
    loss_of = state.setting.loss_of
    values = zip(state.incumbent, state.candidate, strict=True)
    differences = [loss_of(candidate) - loss_of(incumbent) for incumbent, candidate in values]
    folded = paired.fold_differences(paired.start_difference(margin), differences)
    return paired.log_harm(folded), paired.log_safety(folded)


def _exp(value: float | None) -> float | None:
    return None if value is None else math.exp(value)


def _negative(value: float | None) -> float | None:
    return None if value is None else -value
