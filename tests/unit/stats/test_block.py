"""Blocks: one observation for each stretch of time."""

import math
from dataclasses import replace

import pytest

from controller.stats import block
from controller.stats.bins import Axis, cell_of
from controller.stats.block import Block
from controller.stats.criterion import CriterionSetting, Kind, ProcessState, Reading, Statistic, age_s, fold, summary
from controller.stats.tally import Arm, WindowTally
from controller.stats.wealth import log_mean, log_value
from tests.unit.stats.build import counts, fold_all, fresh, latency

HISTORY = {-20: 250, -5: 250, 0: 200, 8: 200, 30: 80, 60: 20}
SETTING = replace(latency(Statistic.P50), block_s=10.0)


def tally(candidate: int | None, incumbent: int | None, n: int = 5) -> WindowTally:
    arms = {Arm.CANDIDATE: candidate, Arm.INCUMBENT: incumbent}
    return counts("latency_s", {arm: {"a": {cell: n}} for arm, cell in arms.items() if cell is not None})


def read(*cells: tuple[int | None, int | None], share: float = 0.5) -> ProcessState:
    """Return the criterion after a window of each pair of cells, two windows to a block."""
    windows = [Reading(1, 100 + at, share, tally(*pair)) for at, pair in enumerate(cells)]
    return fold_all(fresh(SETTING, HISTORY), windows)


def test_the_setting_makes_it_a_block_test() -> None:
    """A length of blocks makes p50 with max_ratio a block test; anything else with one is refused."""
    assert SETTING.kind is Kind.BLOCK
    with pytest.raises(ValueError, match="p50 with max_ratio"):
        replace(SETTING, statistic=Statistic.P95)
    with pytest.raises(ValueError, match="p50 with max_ratio"):
        replace(SETTING, max_ratio=None, limit=2.0)
    with pytest.raises(ValueError, match="at least one window"):
        replace(SETTING, block_s=1.0)


def test_a_block_speaks_when_the_next_begins() -> None:
    """Nothing is said until a window of the next block is read; then the block is one factor of at most 2."""
    before = read((40, 0), (40, 0))
    assert log_value(before.harm) == 0.0
    after = read((40, 0), (40, 0), (0, 0))
    assert 0.0 < log_value(after.harm) < math.log(2.0)
    assert log_mean(after.safety) < 0.0
    assert after.block.n == 1


def test_blocks_follow_the_clock_alone() -> None:
    """Window 101 ends the block of 100 and 101, whatever was in it; empty windows don't shift it."""
    assert read((0, 0), (0, 0)).block.index == read((0, 0), (None, 0)).block.index == 50
    state = fold(fresh(SETTING, HISTORY), Reading(1, 101, 0.5, tally(0, 0)))
    assert fold(state, Reading(1, 102, 0.5, tally(0, 0))).block.index == 51


def test_a_block_without_an_arm_says_nothing() -> None:
    """A block in which one arm had no request leaves evidence and scale as they were."""
    state = read((None, 0), (None, 0), (0, 0))
    assert (log_value(state.harm), state.block.n) == (0.0, 0)


def test_requests_are_weighted_by_the_overlap() -> None:
    """When share and load change within a block, both arms stand for the same mix of times: no difference."""
    state = fold_all(
        fresh(SETTING, HISTORY),
        [
            Reading(1, 100, 0.1, WindowTally(tally(0, None, 1).arms | tally(None, 0, 9).arms)),
            Reading(2, 101, 0.5, WindowTally(tally(20, None, 5).arms | tally(None, 20, 5).arms)),
        ],
    )
    assert state.block.difference == pytest.approx(0.0, abs=1e-12)


def test_unresolved_requests_are_at_the_clip() -> None:
    """A candidate request without a latency counts as four robust deviations, at the age at which that is certain."""
    state = fresh(SETTING, HISTORY)
    assert 0 < age_s(state, 100) < SETTING.timeout_s
    slow = WindowTally(
        {**tally(None, 0).arms, Arm.CANDIDATE: {"a": replace(tally(0, None).arms[Arm.CANDIDATE]["a"], cells={})}}
    )
    folded = fold(state, Reading(1, 100, 0.5, slow))
    top = fold(state, Reading(1, 100, 0.5, tally(900, 0)))
    assert folded.block.difference == pytest.approx(top.block.difference)


def test_without_a_baseline_nothing_is_counted() -> None:
    """Before the incumbent is known a block stays empty, so it says nothing."""
    state = fold_all(fresh(SETTING, {}), [Reading(1, 100 + at, 0.5, tally(40, 0)) for at in range(5)])
    assert (state.tuning, state.block.n, log_value(state.harm)) == (None, 0, 0.0)


def test_the_mixture_restarts_between_blocks_only() -> None:
    """A new share begins a new start at the next block, not in the midst of one that has been half seen."""
    state = fold(fresh(SETTING, HISTORY), Reading(1, 100, 0.5, tally(0, 0, 60)))
    state = fold(state, Reading(2, 101, 0.1, tally(0, 0, 60)))
    assert state.harm.begun == 1
    state = fold(state, Reading(2, 102, 0.1, tally(0, 0, 60)))
    assert state.harm.begun == 2
    assert state.n_since_start == 60


def test_the_scale_is_that_of_the_blocks_before() -> None:
    """The first block is judged with the prior; a block's own difference enters afterwards."""
    now = block.add(Block(), 0.5, (10, 10), (2.0, 0.0))
    assert now.difference == pytest.approx(0.2)
    assert now.scale == pytest.approx(0.1)
    after = block.following(now, 1, 0.0)
    assert after.scale == pytest.approx(math.sqrt((10 * 0.01 + 0.04) / 11))
    assert (after.index, after.n, after.difference) == (1, 1, None)


def test_eleven_slow_blocks_convict_and_the_change_is_shown() -> None:
    """A candidate 1.5 times slower is found in 13 blocks at an eighth of a budget of 1 %, with its ratio bounded."""
    slow = cell_of(Axis.LOG, 1.5)
    state = read(*[(slow, 0)] * 27)
    assert log_value(state.harm) > math.log(800)
    shown = summary(state)
    assert shown.change == pytest.approx(1.5, rel=0.01)
    assert shown.change_low is not None
    assert 1.0 < shown.change_low < 1.5
    assert read(*[(0, 0)] * 27).block.n == 13
    assert log_mean(read(*[(0, 0)] * 27).safety) > math.log(20)


def test_the_factor_is_fair_about_the_margin() -> None:
    """For differences symmetric about log rho the factors of harm and of safety have mean 1."""
    for size in (0.01, 0.1, 3.0):
        ends = [block.growth(block.add(Block(), 0.5, (1, 1), (0.05 + sign * size, 0.0)), 0.05) for sign in (1.0, -1.0)]
        for side in ("harm", "safety"):
            factors = [[math.exp(log) for log in getattr(end, side)] for end in ends]
            assert [(up + down) / 2 for up, down in zip(*factors, strict=True)] == pytest.approx([1.0] * 6)


def test_a_service_time_can_be_judged_by_blocks() -> None:
    """Metrics that are known at the end are read at the timeout."""
    setting = CriterionSetting("service_s", Axis.LOG, True, Statistic.P50, max_ratio=1.05, block_s=60.0)
    assert age_s(fresh(setting, HISTORY), 100) == setting.timeout_s
