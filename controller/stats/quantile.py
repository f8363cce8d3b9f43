"""PQ asks whether the candidate exceeds the scaled incumbent quantile more often (statistics.md §2.1).

The randomised-block form of the 2x2 E-variable of Turner, Ly and Grunwald (2024). With c = 1{Y' > x}, Y' =
rho Y on the incumbent and Y on the candidate, x = rho x quantile p of the incumbent,

    e_ik = q_A(c) / (pi q1k(c) + (1 - pi) q0(c)),   q(1) = q, q(0) = 1 - q, q_A = q1k if A = 1 else q0.

Null of harm: P_t(Y1 > x) <= P_t(rho Y0 > x) at every t; it is tested with q1k > q0. Null of safety is the
reverse, tested with q1k < q0. Assumes an independent coin of recorded probability per request, nothing about
drift. rho is rounded to a whole cell: up for harm, down for safety, so both favour their null.
"""

import math
from dataclasses import dataclass

import numpy as np

from controller.stats.bins import CELLS_PER_DECADE, ratio_cells
from controller.stats.counts import ClassCounts, Counts
from controller.stats.elementary import exp_of, log_of
from controller.stats.normal import Shifts, class_shifts, normalised
from controller.stats.reading import ArmView

LOG_ODDS = (0.15, 0.35, 0.6, 0.9, 1.3, 1.8, 2.6, 4.0, 6.5)
"""The fewer, the less each weighs against the right one: nine, densest where 1.1x to 1.25x shows in a p95 or p99."""
PRIOR_REQUESTS = 50
"""Requests that the nominal 1 - p counts for in the estimate of q0."""

CLIMB_CELLS = 24
"""Unresolved incumbent requests enter the baseline 1.27x above the threshold: tuning follows a slowdown."""


@dataclass(frozen=True, slots=True)
class QuantileTuning:
    """Frozen constants: class shifts, the quantile's cell (exceeded from it on) and P(exceeded)."""

    shifts: Shifts
    cell: int
    q0: float


@dataclass(frozen=True, slots=True)
class Exceedances:
    """Requests per arm and how many of them exceeded their threshold."""

    n_candidate: int
    over_candidate: int
    n_incumbent: int
    over_incumbent: int


def harm_cells(max_ratio: float) -> int:
    """Return the cells of the harm margin, rounded up."""
    return ratio_cells(max_ratio)


def safety_cells(max_ratio: float) -> int:
    """Return the cells of the safety margin, rounded down."""
    return math.floor(math.log10(max_ratio) * CELLS_PER_DECADE + 1e-9)


def tune_quantile(classes: ClassCounts, level: float) -> QuantileTuning:
    """Freeze the threshold at the incumbent's quantile; needs at least one request."""
    shifts = class_shifts(classes)
    return quantile_tuning(shifts, normalised(classes, shifts), level)


def quantile_tuning(shifts: Shifts, cells: Counts, level: float) -> QuantileTuning:
    """Freeze the lowest cell beyond which no more than 1 - level of the normalised requests lie."""
    downwards = cells.occupied[::-1]
    tails = np.add.accumulate(cells.weight[downwards])
    n = int(tails[-1])
    beyond = int(np.searchsorted(tails, (1.0 - level) * n, side="right"))
    tail, place = (int(tails[beyond - 1]), int(downwards[beyond - 1])) if beyond else (0, int(downwards[0]) + 1)
    q0 = (tail + PRIOR_REQUESTS * (1.0 - level)) / (n + PRIOR_REQUESTS)
    return QuantileTuning(shifts, cells.low + place, q0)


def exceedances(candidate: ArmView, incumbent: ArmView, cell: int, margin_cells: int) -> Exceedances:
    """Count exceedances; a request not resolved below its threshold exceeds it."""
    return Exceedances(
        n_candidate=candidate.assigned,
        over_candidate=candidate.assigned - candidate.below(cell + margin_cells),
        n_incumbent=incumbent.assigned,
        over_incumbent=incumbent.assigned - incumbent.below(cell),
    )


def exceedance_factors(share: float, q0: float, log_odds: tuple[float, ...]) -> list[tuple[float, float, float, float]]:
    """Return each bet's log factors of one request: candidate over and under, incumbent over and under its threshold.

    Positive log odds bet on harm, negative ones on safety.
    """
    log_q0, log_no_q0 = log_of(q0), log_of(1.0 - q0)
    factors = []
    for odds in log_odds:
        ratio = exp_of(odds)
        q1 = q0 * ratio / (1.0 - q0 + q0 * ratio)
        mix = share * q1 + (1.0 - share) * q0
        log_mix, log_no_mix = log_of(mix), log_of(1.0 - mix)
        factors.append((log_of(q1) - log_mix, log_of(1.0 - q1) - log_no_mix, log_q0 - log_mix, log_no_q0 - log_no_mix))
    return factors


def exceedance_growth(share: float, q0: float, seen: Exceedances, log_odds: tuple[float, ...]) -> list[float]:
    """Return the log factor of a reading for each bet."""
    under_candidate = seen.n_candidate - seen.over_candidate
    under_incumbent = seen.n_incumbent - seen.over_incumbent
    return [
        seen.over_candidate * a + under_candidate * b + seen.over_incumbent * c + under_incumbent * d
        for a, b, c, d in exceedance_factors(share, q0, log_odds)
    ]


HARM_ODDS = LOG_ODDS
SAFETY_ODDS = tuple(-odds for odds in LOG_ODDS)
