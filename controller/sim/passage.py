"""When evidence reaches a threshold: drawn from the tests' own factors, stage after stage.

The mixture over bets is worth more than the mixture at the bets' mean wealth (log-sum-exp is convex), and a random
walk that is ahead of its mean switches to a bolder bet. So the mean wealth crosses a threshold later than the wealth
does on average, by up to 40 % where bets differ much, and its spread is not normal. Here the walk itself is drawn:
outcomes are merged into a few groups with the group's mean factors, counts of groups are multinomial, and time goes
on in steps of a few percent. The seed is fixed: the same record and policy give the same plan.
"""

import math
from collections.abc import Sequence

import numpy as np

from controller.sim.growth import Growth
from controller.stats.columns import Floats

RUNS = 400
SEED = 20_261_124
_GROUPS = 64
_STEP = 0.04
_PATIENCE = 40.0
"""Runs are given up after so many times the images at which the mean wealth gets there."""

Leg = tuple[Growth, float]
"""The growth within a stage, and the candidate images that the stage takes; the last one lasts."""


def passages(legs: Sequence[Leg], log_needed: float, number: int) -> Floats:
    """Return the candidate images of all stages at which each run gets there, infinite where it does not.

    `number`: of the criterion, so that criteria are drawn apart.
    """
    rng = np.random.default_rng([SEED, number])
    reached = np.full(RUNS, np.inf)
    wealth = np.zeros((RUNS, len(legs[0][0].logs)))
    passed = 0.0
    most = sum(images for _, images in legs[:-1]) + _PATIENCE * legs[-1][0].images(log_needed)
    if not math.isfinite(most):
        return reached
    for at, (growth, images) in enumerate(legs):
        groups = _grouped(growth)
        end = passed + images if at + 1 < len(legs) else most
        while passed < end and not np.isfinite(reached).all():
            step = min(max(1.0, growth.each, _STEP * passed), end - passed)
            units = round(step / growth.each)
            if units == 0:  # a stage that is over before its block is
                passed = end
                break
            counts = rng.multinomial(units, groups.weight, size=RUNS)
            wealth += counts @ groups.logs.T
            passed += units * growth.each
            there = ~np.isfinite(reached) & (_log_mean(wealth) >= log_needed)
            reached[there] = passed
    return reached


def _grouped(growth: Growth) -> Growth:
    """Return at most _GROUPS groups of outcomes, cut where they weigh and spread alike; means stay exact."""
    if growth.logs.shape[1] <= _GROUPS:
        return Growth(growth.logs, growth.weight / growth.weight.sum(), growth.each)
    bet = growth.logs[growth.logs.shape[0] // 2]
    order = np.argsort(bet, kind="stable")
    logs, weight = growth.logs[:, order], growth.weight[order] / growth.weight.sum()
    spread = weight * (bet[order] - bet[order] @ weight) ** 2
    total = float(spread.sum())
    place = np.cumsum(weight + (spread / total if total > 0 else 0.0))
    group = np.minimum((place / place[-1] * _GROUPS).astype(np.int64), _GROUPS - 1)
    _, starts = np.unique(group, return_index=True)
    merged = np.add.reduceat(weight, starts)
    sums = np.add.reduceat(logs * weight, starts, axis=1)
    kept = merged > 0
    return Growth(sums[:, kept] / merged[kept], merged[kept] / merged[kept].sum(), growth.each)


def _log_mean(wealth: Floats) -> Floats:
    highest = wealth.max(axis=1)
    return np.asarray(highest + np.log(np.exp(wealth - highest[:, None]).mean(axis=1)))
