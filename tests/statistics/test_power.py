"""How soon a real fault is found and an identical candidate passes, in candidate requests (fixed seeds)."""

import math

import numpy as np
import pytest

from controller.stats.bins import Axis
from controller.stats.budget import combine
from controller.stats.criterion import CriterionSetting, Statistic, summary
from controller.stats.wealth import log_mean, log_value
from tests.statistics.worlds import BAD_TEXT, GOOD_TEXT, Draw, begin, flags, latencies, run, swap_latencies, times

LOG_CRITERION = math.log(800.0)  # 1 / (1 % over eight criteria), the level of statistics-numbers.md


def latency(statistic: Statistic, max_ratio: float) -> CriterionSetting:
    return CriterionSetting("latency_s", Axis.LOG, True, statistic, max_ratio=max_ratio, interval=False)


def delays(
    settings: list[CriterionSetting], arms: tuple[Draw, Draw], share: float, n: int, runs: int, *, safety: bool = False
) -> list[int]:
    """Return the candidate requests read when the average harm (or every safety at 5 %) was decided, per run."""
    found = []
    for number in range(runs):
        rng = np.random.default_rng([51, number])
        states = [begin(setting, rng, arms[0]) for setting in settings]
        for folded in run(states, rng, *arms, [share] * 1000, n):
            harm = combine([log_value(state.harm) for state in folded], [1.0] * len(folded))
            is_safe = all(log_mean(state.safety) >= math.log(20.0) for state in folded)
            if is_safe if safety else harm >= LOG_CRITERION:
                break
        found.append(folded[0].candidate.n)
    return found


@pytest.mark.parametrize(("share", "n", "most"), [(0.01, 20, 5), (0.1, 3, 7), (0.5, 1, 15)])
def test_bad_swap_is_found_within_a_few_candidates(share: float, n: int, most: int) -> None:
    """A model 3.5 times slower is found within 5, 7 and 15 candidate requests at 1, 10 and 50 %."""
    bank = [latency(s, 1.05) for s in (Statistic.P50, Statistic.P95, Statistic.P99, Statistic.LAW)]
    assert np.quantile(delays(bank, (latencies, swap_latencies), share, n, 25), 0.95) <= most


@pytest.mark.parametrize(
    ("setting", "arms", "n", "mean"),
    [
        (latency(Statistic.LAW, 1.0), (latencies, times(1.25, latencies)), 5, 35),
        (latency(Statistic.P95, 1.0), (latencies, times(1.25, latencies)), 10, 85),
        (
            CriterionSetting("text_accuracy", Axis.SCORE, False, Statistic.MEAN, max_drop=0.0, interval=False),
            (GOOD_TEXT, BAD_TEXT),
            20,
            150,
        ),
        (
            CriterionSetting("cost_usd", Axis.LOG, True, Statistic.MEAN, max_ratio=1.0, interval=False),
            (latencies, times(1.25, latencies)),
            10,
            80,
        ),
        (
            CriterionSetting("failure", Axis.BINARY, True, Statistic.RATE, max_ratio=1.0, interval=False),
            (flags(0.001), flags(0.01)),
            100,
            900,
        ),
    ],
)
def test_moderate_faults_are_found_soon(
    setting: CriterionSetting, arms: tuple[Draw, Draw], n: int, mean: float
) -> None:
    """At a 10 % split the mean delay stays within the goals of statistics-numbers.md."""
    assert np.mean(delays([setting], arms, 0.1, n, 20)) <= mean


@pytest.mark.parametrize(
    ("setting", "draw", "mean"),
    [
        (latency(Statistic.P50, 1.1), latencies, 160),
        (latency(Statistic.P95, 1.25), latencies, 280),
        (
            CriterionSetting("text_accuracy", Axis.SCORE, False, Statistic.MEAN, max_drop=0.02, interval=False),
            GOOD_TEXT,
            450,
        ),
    ],
)
def test_identical_candidate_earns_its_promotion(setting: CriterionSetting, draw: Draw, mean: float) -> None:
    """An identical candidate is certified within the cost of table T6, at a 10 % split."""
    assert np.mean(delays([setting], (draw, draw), 0.1, 50, 10, safety=True)) <= mean


def test_late_fault_is_found_after_a_long_good_run() -> None:
    """A 1.25x fault that appears at a new share after 20 000 good requests is found within 400 candidates."""
    setting = latency(Statistic.P95, 1.0)
    rng = np.random.default_rng(61)
    state = begin(setting, rng, latencies)
    *_, (good,) = run([state], rng, latencies, latencies, [0.1] * 200, 100)
    for (faulty,) in run([good], rng, latencies, times(1.25, latencies), [0.25] * 200, 20):
        if log_value(faulty.harm) >= LOG_CRITERION:
            break
    assert faulty.candidate.n - good.candidate.n <= 400


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_interval_covers_the_true_change(factor: float) -> None:
    """The 95 % confidence sequence of a p50 ratio and of a cost ratio holds the truth at the end of a ramp."""
    shares = [0.02] * 10 + [0.1] * 10 + [0.5] * 10
    misses = 0
    for number in range(12):
        rng = np.random.default_rng([71, number])
        settings = [
            CriterionSetting("latency_s", Axis.LOG, True, Statistic.P50, max_ratio=2.0),
            CriterionSetting("cost_usd", Axis.LOG, True, Statistic.MEAN, max_ratio=2.0),
        ]
        states = [begin(setting, rng, latencies) for setting in settings]
        *_, last = run(states, rng, latencies, times(factor, latencies), shares, 60, lambda t: 1 + 0.35 * t)
        for said in map(summary, last):
            assert said.change is not None
            misses += not (said.change_low or 0.0) <= factor <= (said.change_high or math.inf)
            assert abs(said.change / factor - 1) < 0.12
    assert misses <= 4
