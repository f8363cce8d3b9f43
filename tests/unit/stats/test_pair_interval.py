"""Bounds of a change over pairs: they invert the tests, and cover what is true as often as they say."""

import math
import random
from dataclasses import replace

import pytest

from controller.stats import pair_criterion
from controller.stats.bins import Axis
from controller.stats.pair_criterion import PairState
from controller.stats.pair_interval import HIGHEST_RATIO, change_bounds
from controller.stats.setting import CriterionSetting, Statistic

P50 = CriterionSetting("latency_s", Axis.LOG, True, Statistic.P50, max_ratio=1.25)
COST = CriterionSetting("cost_usd", Axis.LOG, True, Statistic.MEAN, max_ratio=1.25)
FAILURE = CriterionSetting("failure", Axis.BINARY, True, Statistic.RATE, max_increase=0.1)
TEXT = CriterionSetting("text_accuracy", Axis.SCORE, False, Statistic.MEAN, max_drop=0.08)
LAW = CriterionSetting("latency_s", Axis.LOG, True, Statistic.LAW, max_ratio=1.25)
LIMIT = CriterionSetting("latency_s", Axis.LOG, True, Statistic.P50, limit=2.0)
DEARER = CriterionSetting("cost_usd", Axis.LOG, True, Statistic.MEAN, max_increase=0.1)


def folded(setting: CriterionSetting, n: int, change: float, seed: int) -> PairState:
    """Return a criterion after pairs whose candidate is `change` times, or by `change` in all, another."""
    rng, state = random.Random(seed), pair_criterion.start(setting)
    for _ in range(n):
        if setting.axis is Axis.LOG:
            incumbent, candidate = math.exp(rng.gauss(0, 0.2)), change * math.exp(rng.gauss(0, 0.2))
        elif setting.axis is Axis.BINARY:
            incumbent, candidate = float(rng.random() < 0.2), float(rng.random() < 0.2 + change)
        else:
            incumbent, candidate = rng.uniform(0.6, 1.0), rng.uniform(0.6, 1.0) + change
        state = pair_criterion.fold(state, incumbent, candidate)
    return state


@pytest.mark.parametrize(("setting", "change"), [(P50, 4.0), (COST, 4.0), (COST, 1.5), (COST, 0.6)])
def test_an_estimate_lies_within_its_bounds(setting: CriterionSetting, change: float) -> None:
    """However far beyond the allowed change: what a test cuts off, people are told all the same."""
    state = folded(setting, 58, change, 3)
    found, (low, high) = pair_criterion.summary(state).change, change_bounds(state)
    assert found == pytest.approx(change, rel=0.15)
    assert low is not None
    assert found >= low
    assert high is None or found <= high


@pytest.mark.parametrize(("setting", "change"), [(P50, 1.5), (P50, 0.6), (COST, 1.5), (COST, 0.6)])
def test_a_ratio_lies_within_its_bounds(setting: CriterionSetting, change: float) -> None:
    """Two hundred pairs bracket a ratio that is no trifle and exclude no change at all."""
    low, high = change_bounds(folded(setting, 200, change, 1))
    assert low is not None
    assert high is not None
    assert low < change < high
    assert not low <= 1.0 <= high
    assert high / low < 1.6


@pytest.mark.parametrize(("setting", "change"), [(FAILURE, 0.4), (TEXT, -0.3), (TEXT, 0.0)])
def test_a_difference_lies_within_its_bounds(setting: CriterionSetting, change: float) -> None:
    """Bounds are in the metric's unit and direction: a drop is negative, an increase positive."""
    low, high = change_bounds(folded(setting, 200, change, 2))
    assert low is not None
    assert high is not None
    assert low < change < high
    assert high - low < 0.4
    assert (low <= 0.0 <= high) is (change == 0.0)


def test_bounds_and_verdict_are_one_test() -> None:
    """An allowed change below the bounds has evidence of harm, one above them of safety, one inside neither."""
    needed = math.log(2.0 / 0.05)
    low, high = change_bounds(folded(P50, 150, 1.5, 3))
    assert low is not None
    assert high is not None

    def evidence(ratio: float) -> tuple[float, float]:
        return pair_criterion.log_evidence(folded(replace(P50, max_ratio=ratio), 150, 1.5, 3))

    assert evidence(low / 1.01)[0] >= needed
    assert evidence(high * 1.01)[1] >= needed
    assert max(evidence(math.sqrt(low * high))) < needed


def test_few_pairs_have_no_bounds() -> None:
    """Without pairs nothing is known, and a few say nothing about a quantile."""
    for setting in (P50, COST, FAILURE, TEXT):
        assert change_bounds(pair_criterion.start(setting)) == (None, None)
    assert change_bounds(folded(P50, 15, 4.0, 1)) == (None, None)


def test_what_cannot_be_inverted_has_no_bounds() -> None:
    """Neither the whole law, nor a limit, nor a difference of costs has bounds."""
    for setting in (LAW, LIMIT, DEARER):
        assert change_bounds(folded(setting, 100, 1.0, 1)) == (None, None)


def test_a_change_beyond_all_bounds_is_open_on_that_side() -> None:
    """A candidate a thousand times slower is at least HIGHEST_RATIO times slower, and nothing more is said."""
    low, high = change_bounds(folded(P50, 150, 1000.0, 1))
    assert low == pytest.approx(HIGHEST_RATIO, rel=0.01)
    assert high is None


def test_the_truth_is_seldom_outside() -> None:
    """Over 100 benches of 60 pairs the true ratio is outside in fewer than binomial chance at 5 % allows."""
    outside = 0
    for seed in range(100):
        low, high = change_bounds(folded(COST, 60, 1.2, 100 + seed))
        outside += not (low or 0.0) <= 1.2 <= (high or math.inf)
    assert outside <= 11  # P(more | 5 %) = 0.4 %
