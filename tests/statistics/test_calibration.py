"""Seeded A/A runs at the exact boundary of each null: frequencies stay within exact binomial tolerance.

`make bench` runs the same worlds with ten times the runs (marker `slow`).
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from controller.stats import paired, sample_ratio
from controller.stats.binomial import upper_tail
from controller.stats.bins import Axis
from controller.stats.budget import combine
from controller.stats.criterion import CriterionSetting, Statistic
from controller.stats.wealth import log_mean, log_value
from tests.statistics.worlds import BAD_TEXT, GOOD_TEXT, Draw, begin, flags, latencies, run, times

ALPHA = 0.05
HARM_CELLS, SAFETY_CELLS = 10, 9


def ratio_of(cells: int) -> float:
    return 10.0 ** (cells / 232)


def latency(statistic: Statistic, max_ratio: float = 1.1) -> CriterionSetting:
    return CriterionSetting("latency_s", Axis.LOG, True, statistic, max_ratio=max_ratio, interval=False)


@dataclass(frozen=True)
class World:
    """A criterion with a candidate exactly at its boundary, for harm and for safety."""

    setting: CriterionSetting
    incumbent: Draw
    harm_candidate: Draw
    safety_candidate: Draw


def _same(setting: CriterionSetting, incumbent: Draw, candidate: Draw) -> World:
    return World(setting, incumbent, candidate, candidate)


def _quantile(statistic: Statistic) -> World:
    at = (times(ratio_of(cells), latencies) for cells in (HARM_CELLS, SAFETY_CELLS))
    return World(latency(statistic), latencies, *at)


COST = CriterionSetting("cost_usd", Axis.LOG, True, Statistic.MEAN, max_ratio=1.1, interval=False)
TEXT = CriterionSetting("text_accuracy", Axis.SCORE, False, Statistic.MEAN, max_drop=0.05, interval=False)


def rate(**margins: float) -> CriterionSetting:
    return CriterionSetting("failure", Axis.BINARY, True, Statistic.RATE, interval=False, **margins)


WORLDS = {
    "p50": _quantile(Statistic.P50),
    "p95": _quantile(Statistic.P95),
    "p99": _quantile(Statistic.P99),
    "law": _quantile(Statistic.LAW),
    "cost": _same(COST, latencies, times(1.1, latencies)),
    "text": _same(TEXT, GOOD_TEXT, BAD_TEXT),
    "failure": _same(rate(max_increase=0.01), flags(0.01), flags(0.02)),
    "coin": _same(rate(max_ratio=2.0), flags(0.01), flags(0.02)),
    "limit": _same(rate(limit=0.02), flags(0.01), flags(0.02)),
}


def within_tolerance(hits: int, runs: int) -> bool:
    """Say whether so many hits have a probability above 1e-4 when the level is ALPHA."""
    return upper_tail(hits, runs, ALPHA) > 1e-4


def crossings(world: World, shares: list[float], runs: int, seed: int) -> tuple[int, int]:
    """Return in how many runs harm, and in how many safety, ever reached 1 / ALPHA in windows of 60 requests."""
    threshold, hits = -math.log(ALPHA), [0, 0]
    sides = ((world.harm_candidate, True), (world.safety_candidate, False))
    for side, (candidate, is_harm) in enumerate(sides):
        for number in range(runs):
            rng = np.random.default_rng([seed, side, number])
            for (state,) in run(
                [begin(world.setting, rng, world.incumbent)], rng, world.incumbent, candidate, shares, 60
            ):
                if (log_value(state.harm) if is_harm else log_mean(state.safety)) >= threshold:
                    hits[side] += 1
                    break
    return hits[0], hits[1]


@pytest.mark.parametrize("name", WORLDS)
def test_level_holds_at_the_boundary(name: str) -> None:
    """Neither harm nor safety crosses 1 / alpha more often than alpha, peeking at every window of a ramp."""
    shares = [0.02] * 8 + [0.1] * 14 + [0.5] * 14
    harm, safety = crossings(WORLDS[name], shares, 60, seed=11)
    assert within_tolerance(harm, 60)
    assert within_tolerance(safety, 60)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("name", WORLDS)
def test_level_holds_at_the_boundary_in_many_runs(name: str, share: float) -> None:
    """The same with 600 runs of 6000 requests at each split."""
    harm, safety = crossings(WORLDS[name], [share] * 100, 600, seed=12)
    assert within_tolerance(harm, 600)
    assert within_tolerance(safety, 600)


def false_reverts(runs: int, seed: int) -> int:
    """Return in how many A/A runs the average of four latency criteria reached 1 / ALPHA under ramp and drift."""
    shares = [share for share in (0.01, 0.05, 0.25, 0.5) for _ in range(9)]
    settings = [latency(s, 1.0) for s in (Statistic.P50, Statistic.P95, Statistic.P99, Statistic.LAW)]
    hits = 0
    for number in range(runs):
        rng = np.random.default_rng([seed, number])
        states = [begin(setting, rng, latencies) for setting in settings]
        for folded in run(states, rng, latencies, latencies, shares, 100, drift=lambda t: 1.0 + 0.35 * t):
            if combine([log_value(state.harm) for state in folded], [1.0] * 4) >= -math.log(ALPHA):
                hits += 1
                break
    return hits


def test_rollout_budget_holds_under_ramp_and_drift() -> None:
    """The combined evidence of an identical candidate stays within the budget while load slows both arms by 1.35."""
    assert within_tolerance(false_reverts(60, seed=21), 60)


@pytest.mark.slow
def test_rollout_budget_holds_under_ramp_and_drift_in_many_runs() -> None:
    """The same with 1000 runs."""
    assert within_tolerance(false_reverts(1000, seed=22), 1000)


def test_sample_ratio_rarely_alarms() -> None:
    """Under the recorded shares the sample-ratio wealth reaches 20 in at most alpha of the runs."""
    hits = 0
    for number in range(400):
        rng = np.random.default_rng([31, number])
        state = sample_ratio.start()
        for share in [0.01] * 20 + [0.1] * 20 + [0.5] * 20:
            candidates = int(rng.binomial(50, share))
            state = sample_ratio.fold(state, share, 50 - candidates, candidates)
            if sample_ratio.log_e(state) >= -math.log(ALPHA):
                hits += 1
                break
    assert within_tolerance(hits, 400)


def test_pairs_hold_their_level() -> None:
    """At the boundary the paired tests cross 1 / alpha in at most alpha of the runs, after every pair."""
    hits = [0, 0]
    for number in range(150):
        rng = np.random.default_rng([41, number])
        difference, ratio = paired.start_difference(0.05), paired.start_ratio(1.1)
        crossed = [False, False]
        for _ in range(100):
            drop = float(rng.random() < 0.15) - float(rng.random() < 0.10)
            difference = paired.fold_differences(difference, [drop])
            ratio = paired.fold_ratios(ratio, [math.log(1.1) + float(rng.normal(0, 0.15))])
            for k, state in enumerate((difference, ratio)):
                crossed[k] |= max(paired.log_harm(state), paired.log_safety(state)) >= -math.log(ALPHA / 2)
        hits = [hit + now for hit, now in zip(hits, crossed, strict=True)]
    assert all(within_tolerance(hit, 150) for hit in hits)
