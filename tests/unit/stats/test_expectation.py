"""The strongest test there is: enumerate every coin and every outcome, and check that wealth is fair."""

import math

import pytest

from controller.stats import paired, sample_ratio
from controller.stats.bins import Axis, cell_of
from controller.stats.criterion import CriterionSetting, ProcessState, Statistic
from controller.stats.paired import fold_differences, fold_ratios, start_difference, start_ratio
from controller.stats.wealth import log_mean, log_value
from tests.unit.stats.build import Law, cost, expectation, fresh, latency, rate, score

HISTORY = {-20: 250, -5: 250, 0: 200, 8: 200, 30: 80, 60: 20}
UP, DOWN = 10, 9  # 1.1 in cells, rounded up and down
LATENCIES: Law = {-10: 0.5, 8: 0.3, 60: 0.15, None: 0.05}


def harm(state: ProcessState) -> float:
    return log_value(state.harm)


def safety(state: ProcessState) -> float:
    return log_mean(state.safety)


def moved(law: Law, cells: int) -> Law:
    return {cell if cell is None else cell + cells: p for cell, p in law.items()}


@pytest.mark.parametrize("statistic", [Statistic.P50, Statistic.P95, Statistic.P99, Statistic.LAW])
@pytest.mark.parametrize("share", [0.01, 0.5])
def test_latency_harm_is_fair_at_the_boundary(statistic: Statistic, share: float) -> None:
    """Harm has expectation exactly 1 when the candidate is the incumbent slowed by the allowed ratio."""
    state = fresh(latency(statistic), HISTORY)
    expected = expectation(state, [share, 0.3], 1, LATENCIES, moved(LATENCIES, UP), harm)
    assert expected == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("statistic", [Statistic.P50, Statistic.P95, Statistic.P99, Statistic.LAW])
def test_latency_harm_loses_when_the_candidate_is_faster(statistic: Statistic) -> None:
    """Harm has expectation below 1 inside the allowed change."""
    state = fresh(latency(statistic), HISTORY)
    faster: Law = {-10: 1.0}
    assert expectation(state, [0.1], 2, LATENCIES, faster, harm) < 1.0


@pytest.mark.parametrize("statistic", [Statistic.P50, Statistic.P95, Statistic.P99])
def test_latency_safety_is_fair_at_the_boundary_and_loses_beyond(statistic: Statistic) -> None:
    """Safety has expectation 1 at the allowed ratio and less beyond it."""
    state = fresh(latency(statistic), HISTORY)
    at = expectation(state, [0.1, 0.5], 1, LATENCIES, moved(LATENCIES, DOWN), safety)
    beyond = expectation(state, [0.1, 0.5], 1, LATENCIES, {100: 1.0}, safety)
    assert at == pytest.approx(1.0, abs=1e-12)
    assert beyond < 1.0


def test_windows_without_a_candidate_request_are_evidence() -> None:
    """Leaving out windows without a candidate would make two equally slowed arms look harmful."""
    start = fresh(latency(Statistic.P50), HISTORY)
    incumbent, candidate = {60: 1.0}, {70: 1.0}

    def skipping(state: ProcessState) -> float:
        return harm(state) if state.candidate.n else 0.0

    assert expectation(start, [0.5], 1, incumbent, candidate, harm) == pytest.approx(1.0, abs=1e-12)
    assert expectation(start, [0.5], 1, incumbent, candidate, skipping) > 1.05


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_cost_is_fair_at_the_boundary(share: float) -> None:
    """At the allowed ratio of means neither harm nor safety grows on average."""
    setting = cost(max_ratio=10.0 ** (10 / 232))  # the ratio of two cells, so the law below is exactly at the boundary
    state = fresh(setting, HISTORY)
    law: Law = {-10: 0.6, 20: 0.4}
    for value in (harm, safety):
        expected = expectation(state, [share, 0.3], 1, law, moved(law, 10), value)
        assert expected == pytest.approx(1.0, abs=1e-12)


def test_cost_harm_stays_fair_beyond_the_cap() -> None:
    """The cap applies to both arms alike, so a heavy tail at the boundary is still fair."""
    setting = cost(max_ratio=10.0 ** (10 / 232))
    state = fresh(setting, HISTORY)
    law: Law = {-10: 0.9, 600: 0.1}
    for value in (harm, safety):
        assert expectation(state, [0.1], 2, law, moved(law, 10), value) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_scores_are_fair_at_the_boundary(share: float) -> None:
    """A mean lower by exactly the allowed drop is fair for harm and for safety, whatever the laws."""
    state = fresh(score(), {200: 700, 180: 200, 100: 100})
    incumbent: Law = {200: 0.8, 100: 0.2}
    candidate: Law = {200: 0.76, 100: 0.24}
    for value in (harm, safety):
        expected = expectation(state, [share, 0.1], 1, incumbent, candidate, value)
        assert expected == pytest.approx(1.0, abs=1e-12)


def test_missing_scores_leave_the_test_fair() -> None:
    """A request without a score contributes a factor of 1."""
    state = fresh(score(), {200: 700, 180: 200, 100: 100})
    incumbent: Law = {200: 0.4, 100: 0.1, None: 0.5}
    candidate: Law = {200: 0.38, 100: 0.12, None: 0.5}
    assert expectation(state, [0.1], 2, incumbent, candidate, harm) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_rate_differences_are_fair_at_the_boundary(share: float) -> None:
    """A rate higher by exactly the allowed increase is fair for harm and for safety."""
    state = fresh(rate(), {0: 999, 1: 1})
    for value in (harm, safety):
        expected = expectation(state, [share, 0.2], 1, {0: 0.9, 1: 0.1}, {0: 0.895, 1: 0.105}, value)
        assert expected == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_rate_ratios_are_fair_at_the_boundary(share: float) -> None:
    """A rate at exactly the allowed multiple is fair for the events-only coin."""
    state = fresh(rate(max_ratio=2.0), {})
    for value in (harm, safety):
        expected = expectation(state, [share, 0.2], 1, {0: 0.9, 1: 0.1}, {0: 0.8, 1: 0.2}, value)
        assert expected == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("setting", "law"),
    [
        (rate(limit=0.25), {0: 0.75, 1: 0.25}),
        (latency(Statistic.P95, limit=2.0), {cell_of(Axis.LOG, 1.0): 0.95, cell_of(Axis.LOG, 3.0): 0.05}),
        (score(limit=0.9), {200: 0.8, 100: 0.2}),
    ],
)
def test_limits_are_fair_at_the_boundary(setting: CriterionSetting, law: Law) -> None:
    """A candidate exactly at its limit is fair, whatever the incumbent does."""
    state = fresh(setting, {})
    for value in (harm, safety):
        assert expectation(state, [0.5], 2, law, law, value) == pytest.approx(1.0, abs=1e-12)


def test_limit_on_a_cost_never_gains_within_it() -> None:
    """Harm needs no upper bound on the cost; a candidate with a mean below the limit loses."""
    state = fresh(cost(limit=1.5), {})
    assert expectation(state, [0.5], 2, {0: 1.0}, {-232: 0.9, 232: 0.1}, harm) <= 1.0


def test_sample_ratio_is_fair_under_a_changing_share() -> None:
    """Under the recorded coin the sample-ratio wealth has expectation 1."""
    total = 0.0
    for first in range(3):
        for second in range(3):
            p = [(0.7**2, 2 * 0.3 * 0.7, 0.3**2)[first], (0.9**2, 2 * 0.1 * 0.9, 0.1**2)[second]]
            state = sample_ratio.fold(sample_ratio.start(), 0.3, 2 - first, first)
            state = sample_ratio.fold(state, 0.1, 2 - second, second)
            total += p[0] * p[1] * math.exp(sample_ratio.log_e(state))
    assert total == pytest.approx(1.0, abs=1e-12)


def test_paired_tests_are_fair_at_the_boundary() -> None:
    """A mean difference of the margin, and a ratio symmetric about it, are fair in both directions."""
    differences = {0.5: 0.21, -0.5: 0.09, 0.0: 0.7}  # mean 0.06
    for value in (paired.log_harm, paired.log_safety):
        total = sum(
            p * q * math.exp(value(fold_differences(start_difference(0.06), [x, y])))
            for x, p in differences.items()
            for y, q in differences.items()
        )
        assert total == pytest.approx(1.0, abs=1e-12)
        ratios = [math.log(1.1) + step for step in (-0.3, -0.1, 0.1, 0.3)]
        total = sum(math.exp(value(fold_ratios(start_ratio(1.1), [x, y]))) / 16 for x in ratios for y in ratios)
        assert total == pytest.approx(1.0, abs=1e-12)
