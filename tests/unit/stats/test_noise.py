"""Noise of the replicas on tallies small enough to count by hand."""

import math

import pytest

from controller.stats.noise import BLOCK_WINDOWS, TooLittleError, measure
from controller.stats.tally import Arm, ClassTally, WindowTally

FAST, SLOW = 0, 10


def window(candidate: dict[int, int], incumbent: dict[int, int]) -> WindowTally:
    arms = {Arm.CANDIDATE: candidate, Arm.INCUMBENT: incumbent}
    return WindowTally({arm: {"a": ClassTally(sum(c.values()), {"latency_s": c})} for arm, c in arms.items() if c})


def run(*windows: WindowTally, epoch: int = 1) -> dict[tuple[int, int], WindowTally]:
    return {(epoch, at): tally for at, tally in enumerate(windows)}


SPREAD = {-4: 20, 4: 20}


def shifted(by: int) -> dict[int, int]:
    return {cell + by: n for cell, n in SPREAD.items()}


def test_a_constant_difference_is_the_noise() -> None:
    """Ten cells slower in every block: offset and sigma are both ten cells, less what sampling explains."""
    found = measure(run(*[window(shifted(10), shifted(0))] * 40), "latency_s")
    step = 10 * math.log(10) / 232
    assert found.offset == pytest.approx(step)
    assert found.sigma == pytest.approx(math.sqrt(step**2 - found_sampling()), rel=1e-6)
    assert (found.n_blocks, found.block_s, found.n_candidate, found.n_incumbent) == (40, 5, 1600, 1600)
    assert found.correlation_s is None  # it never changed: how long it lasts can't be told
    assert found.lasting
    assert found.smallest_ratio == math.exp(3 * found.sigma)


def found_sampling() -> float:
    """Return v / h: the variance of a request, over half of the harmonic mean of 40 and 40."""
    variance = (4 * math.log(10) / 232) ** 2 * 40 / 39
    return variance / 20


def test_alternating_pools_have_a_difference_but_no_mean() -> None:
    """Slower and faster in turn: the mean difference is 0, the noise is not, and neighbours disagree."""
    windows = [window(shifted(10 if at % 2 else -10), shifted(0)) for at in range(40)]
    found = measure(run(*windows), "latency_s")
    assert found.offset == pytest.approx(0.0, abs=1e-12)
    assert found.sigma > 0.09
    assert found.correlation_s is None


def test_how_long_it_lasts_is_where_products_halve() -> None:
    """Slower and faster in stretches of ten blocks: half the product is gone within one, and that is not for long."""
    windows = [window(shifted(10 if at // 10 % 2 else -10), shifted(0)) for at in range(100)]
    found = measure(run(*windows), "latency_s")
    assert found.correlation_s == pytest.approx(3 * 5 / math.log(10.0 / 3.0), rel=0.5)
    assert not found.lasting
    assert found.smallest_ratio == math.exp(2 * found.sigma)


def test_stretches_of_many_requests_last() -> None:
    """The same in stretches of two hundred blocks holds thousands of requests: it lasts."""
    windows = [window(shifted(10 if at // 200 % 2 else -10), shifted(0)) for at in range(2000)]
    assert measure(run(*windows), "latency_s").lasting


def test_lone_blocks_have_no_neighbours() -> None:
    """Blocks that never follow one another say nothing of how long it lasts."""
    tallies = {(epoch, 10 * epoch): window(shifted(10), shifted(0)) for epoch in range(40)}
    found = measure(tallies, "latency_s")
    assert (found.correlation_s, found.lasting) == (None, False)
    assert found.sigma > 0.09


def test_equal_arms_have_no_noise() -> None:
    """Differences smaller than sampling explains are no noise, and the bound says how much there may be."""
    found = measure(run(*[window(shifted(0), shifted(0))] * 40), "latency_s")
    assert found.sigma == 0.0
    assert found.smallest_ratio == 1.0
    assert 0 < found.sigma_high < 0.02


def test_one_very_slow_request_is_one_slow_request() -> None:
    """A timeout at the end of the axis is clipped: it moves its block by little."""
    windows = [window(shifted(0), shifted(0))] * 40
    timeout = [window({**shifted(0), 928: 1}, shifted(0)), *windows[1:]]
    assert measure(run(*timeout), "latency_s").sigma < 0.01


def test_blocks_grow_until_the_scarcer_arm_has_enough() -> None:
    """With two candidate requests in a window a block is 24 windows; with hardly any the longest is taken."""
    few = measure(run(*[window({-4: 1, 4: 1}, shifted(0))] * 300), "latency_s")
    assert few.block_s == 120
    rare = [window({-4: 1, 4: 1} if at % 60 == 0 else {}, shifted(0)) for at in range(360 * 14)]
    assert measure(run(*rare), "latency_s").block_s == BLOCK_WINDOWS[-1] * 5


def test_windows_of_another_share_are_other_blocks() -> None:
    """A block lies within one epoch; blocks without a request on an arm don't count."""
    tallies = run(*[window(shifted(0), shifted(0))] * 20) | run(*[window({}, shifted(0))] * 20, epoch=2)
    tallies |= {(3, at): window(shifted(0), shifted(0)) for at in range(20)}
    found = measure(tallies, "latency_s")
    assert (found.n_blocks, found.block_s) == (20, 10)
    assert found.n_windows == 20


@pytest.mark.parametrize(
    ("tallies", "told"),
    [
        ({}, "no request has a latency_s"),
        (run(window({0: 1}, {1: 1})), "too few requests fall into the same window"),
        (run(*[window({}, shifted(0))] * 40), "0 blocks"),
        (run(*[window(shifted(0), shifted(0))] * 5), "5 blocks of 5 s"),
        (run(*[window({0: 1}, {1: 1})] * 100), "too few requests fall into the same window"),
    ],
    ids=["nothing", "hardly anything", "one arm", "few blocks", "thin"],
)
def test_too_little_is_said(tallies: dict[tuple[int, int], WindowTally], told: str) -> None:
    """Without requests, a second arm, enough blocks or two requests in a window, the error says which is missing."""
    with pytest.raises(TooLittleError, match=told):
        measure(tallies, "latency_s")


def test_classes_that_differ_are_no_noise() -> None:
    """What makes a request slow whatever the pool is taken out before arms are compared, however the mix falls."""

    def mixed(fast: int, slow: int) -> dict[str, ClassTally]:
        cells = {"plain": dict.fromkeys((-4, 4), fast), "wide": {c + 100: slow for c in (-4, 4)}}
        return {name: ClassTally(sum(of.values()), {"latency_s": of}) for name, of in cells.items()}

    windows = [
        WindowTally({Arm.CANDIDATE: mixed(5 + at % 20, 25 - at % 20), Arm.INCUMBENT: mixed(25 - at % 20, 5 + at % 20)})
        for at in range(60)
    ]
    found = measure(run(*windows), "latency_s")
    assert found.offset == pytest.approx(0.0, abs=1e-12)
    assert found.sigma == 0.0
