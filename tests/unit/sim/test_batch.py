"""Folding many windows at once is folding them one by one."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.stats import batch, sample_ratio
from controller.stats.bins import Axis, cell_of, value_of
from controller.stats.columns import NO_VALUE, Columns, cells_of, columns_of, values_of
from controller.stats.criterion import CriterionSetting, ProcessState, Reading, Statistic, age_s, fold, start, summary
from controller.stats.factors import factors
from controller.stats.tally import Arm, ClassTally, WindowTally
from controller.stats.wealth import log_mean, log_value

NAMES = ("long", "short", "text")


def _setting(metric: str, axis: Axis, statistic: Statistic, *, worse: bool = True, **margin: float) -> CriterionSetting:
    return CriterionSetting(metric, axis, worse, statistic, timeout_s=8.0, interval=False, **margin)


SETTINGS = {
    "p50": _setting("latency_s", Axis.LOG, Statistic.P50, max_ratio=1.1),
    "p99": _setting("latency_s", Axis.LOG, Statistic.P99, max_ratio=1.25),
    "service": _setting("service_s", Axis.LOG, Statistic.P95, max_ratio=1.2),
    "blocks": _setting("latency_s", Axis.LOG, Statistic.P50, max_ratio=1.1, block_s=20.0),
    "law": _setting("latency_s", Axis.LOG, Statistic.LAW, max_ratio=1.05),
    "cost": _setting("latency_s", Axis.LOG, Statistic.MEAN, max_ratio=1.1),
    "increase": _setting("cost_usd", Axis.LOG, Statistic.MEAN, max_increase=0.2),
    "text": _setting("text_accuracy", Axis.SCORE, Statistic.MEAN, worse=False, max_drop=0.05),
    "failure": _setting("failure", Axis.BINARY, Statistic.RATE, max_increase=0.02),
    "coin": _setting("failure", Axis.BINARY, Statistic.RATE, max_ratio=2.0),
    "rate": _setting("failure", Axis.BINARY, Statistic.RATE, limit=0.1),
    "slo": _setting("latency_s", Axis.LOG, Statistic.P95, limit=2.0),
    "bill": _setting("cost_usd", Axis.LOG, Statistic.MEAN, limit=1.3),
    "memory": _setting("memory_gib", Axis.LOG, Statistic.MAX, limit=3.0),
}


def columns(setting: CriterionSetting, rng: np.random.Generator, windows: int, a_window: float, share: float, at: int):
    """Draw windows of requests, some windows empty and left out, numbered from `at` on."""
    counts = rng.poisson(a_window, windows) if a_window > 1 else np.ones(windows, np.int64)
    numbers = np.repeat(np.arange(at, at + windows), counts)
    n = len(numbers)
    match setting.axis:
        case Axis.LOG:
            cell = cells_of(Axis.LOG, rng.lognormal(0.1, 0.6, n))
        case Axis.SCORE:
            cell = cells_of(Axis.SCORE, np.where(rng.random(n) < 0.6, 1.0, rng.random(n)))
        case Axis.BINARY:
            cell = (rng.random(n) < 0.1).astype(np.int64)
    found, starts = np.unique(numbers, return_index=True)
    known_s = np.where(cell > 0, 10.0 ** (cell / 232), 0.5) - 5.0 * rng.random(n)
    return Columns(
        windows=found,
        starts=np.append(starts, n),
        names=NAMES,
        candidate=rng.random(n) < share,
        kind=rng.integers(0, len(NAMES), n),
        cell=np.where(rng.random(n) < 0.03, NO_VALUE, cell),
        n=rng.integers(1, 4, n),
        known_s=known_s,
    )


def tally_of(setting: CriterionSetting, rows: Columns, age: float) -> WindowTally:
    total = WindowTally()
    for row in range(len(rows.cell)):
        known = rows.cell[row] != NO_VALUE and (not setting.is_elapsed or rows.known_s[row] <= age)
        n, arm = int(rows.n[row]), Arm.CANDIDATE if rows.candidate[row] else Arm.INCUMBENT
        cells = {setting.metric: {int(rows.cell[row]): n}} if known else {}
        total += WindowTally({arm: {rows.names[rows.kind[row]]: ClassTally(n, cells)}})
    return total


def one_by_one(state: ProcessState, share: float, rows: Columns) -> tuple[ProcessState, list[ProcessState]]:
    passed = []
    for position, window in enumerate(rows.windows.tolist()):
        age = math.ceil(age_s(state, window))
        tally = tally_of(state.setting, rows.part(position, position + 1), age)
        state = fold(state, Reading(1, window, share, tally))
        passed.append(state)
    return state, passed


def plain(state: ProcessState) -> dict[str, Any]:
    """Return everything that must be equal exactly."""
    base = state.baseline
    return {
        "baseline": (base.older, base.recent, base.n_older, base.n_recent, base.n_untuned),
        "pending": [(item.window, item.classes) for item in state.pending],
        "tuning": state.tuning,
        "begun": state.harm.begun,
        "since": (state.start_share, state.n_since_start),
        "block": (state.block.index, state.block.n),
        "arms": [(arm.n, arm.missing, arm.late_from, arm.highest) for arm in (state.incumbent, state.candidate)],
    }


def numbers(state: ProcessState) -> list[float]:
    arms = (state.incumbent, state.candidate)
    estimates = [value for arm in arms for counts in (arm.raw, arm.relative) for value in counts.cells().values()]
    rest = [value for arm in arms for value in (arm.weight, arm.residual)]
    now = state.block
    rest += [now.weight_candidate, now.total_candidate, now.weight_incumbent, now.total_incumbent, now.squares]
    return [*state.harm.total, *state.safety, *estimates, *rest]


def assert_same(many: ProcessState, one: ProcessState) -> None:
    assert plain(many) == plain(one)
    assert numbers(many) == pytest.approx(numbers(one), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=4)
@example(seed=279, a_window=40.0, shares=[0.05, 0.05], history=30)  # a generation turns within a window that goes on
@example(seed=1, a_window=2.5, shares=[0.3, 0.1], history=0)  # nothing to tune with for a while
@given(
    seed=st.integers(0, 2**32),
    a_window=st.sampled_from([1.0, 2.5, 40.0]),
    shares=st.lists(st.sampled_from([0.05, 0.3, 0.5]), min_size=1, max_size=4),
    history=st.sampled_from([0, 30, 600]),
)
def test_many_at_once_are_one_by_one(name: str, seed: int, a_window: float, shares: list[float], history: int) -> None:
    """State and evidence after every window agree, whatever the cuts, the shares, the gaps and the retunings."""
    setting, rng = SETTINGS[name], np.random.default_rng(seed)
    past = columns(setting, rng, max(1, history), 1.0, 0.0, 0)
    begun = start(setting, tally_of(setting, past, math.inf) if history else WindowTally())
    many = one = begun
    at, windows = 1000, 150 if a_window == 1 else 40
    for share in shares:
        rows = columns(setting, rng, windows, a_window, share, at)
        many, path = batch.fold_many(many, share, rows)
        one, passed = one_by_one(one, share, rows)
        assert_same(many, one)
        harms = [summary(state).log_harm for state in passed]
        assert path.log_harm.tolist() == pytest.approx(harms, rel=1e-9, abs=1e-9)
        assert path.log_safety.tolist() == pytest.approx(
            [summary(state).log_safety for state in passed], rel=1e-9, abs=1e-9
        )
        assert path.evident.tolist() == [
            None not in {summary(state).incumbent, summary(state).candidate} for state in passed
        ]
        assert path.n_candidate.tolist() == [summary(state).n_candidate for state in passed]
        # The last window goes on in the next batch, as it does when the share changes within it.
        at += windows - 1


def test_long_runs_turn_generations_and_restart() -> None:
    """Over 12,000 requests generations turn and the mixture restarts at the same windows."""
    setting, rng = SETTINGS["p50"], np.random.default_rng(3)
    many = one = start(setting, WindowTally())
    for at in (0, 5000):
        rows = replace(columns(setting, rng, 5000, 1.0, 0.1, at), n=np.full(5000, 3))
        many, _ = batch.fold_many(many, 0.1, rows)
        one, _ = one_by_one(one, 0.1, rows)
    assert many.harm.begun > 3
    assert many.baseline.n_older > 0
    assert_same(many, one)
    assert log_value(many.harm) == pytest.approx(log_value(one.harm), abs=1e-9)
    assert log_mean(many.safety) == pytest.approx(log_mean(one.safety), abs=1e-9)


def test_a_class_that_is_gone_is_still_waiting() -> None:
    """Pending windows may hold a class of requests that the batch has none of; it is tuned with all the same."""
    setting = SETTINGS["p50"]
    before = replace(columns(setting, np.random.default_rng(11), 30, 2.5, 0.3, 0), names=("long", "short", "rare"))
    after = replace(columns(setting, np.random.default_rng(12), 30, 2.5, 0.3, 30), names=("long", "short", "text"))
    many = one = start(setting, WindowTally())
    for rows in (before, after):
        many, _ = batch.fold_many(many, 0.3, rows)
        one, _ = one_by_one(one, 0.3, rows)
    assert_same(many, one)
    assert "rare" in many.baseline.classes().classes()


def test_rows_without_a_baseline_are_worth_nothing() -> None:
    """Factors need constants: before the incumbent is known there are none, for tests that are tuned."""
    rows = columns(SETTINGS["p50"], np.random.default_rng(13), 5, 2.5, 0.3, 0)
    for name in ("p50", "law", "cost", "blocks"):
        assert factors(SETTINGS[name], None, 0.3, rows) is None


def test_nothing_changes_nothing() -> None:
    """A batch without a window leaves the state as it is."""
    setting = SETTINGS["cost"]
    state = start(setting, WindowTally())
    after, path = batch.fold_many(state, 0.5, columns_of({}, setting.metric))
    assert plain(replace(after, start_share=None)) == plain(state)
    assert len(path.log_harm) == 0


def test_a_share_that_compares_nothing_is_refused() -> None:
    """Shares of 0 and 1, and criteria that keep confidence sequences, are errors."""
    state = start(SETTINGS["cost"], WindowTally())
    empty = columns_of({}, "latency_s")
    with pytest.raises(ValueError, match="compares nothing"):
        batch.fold_many(state, 0.0, empty)
    with pytest.raises(ValueError, match="confidence sequences"):
        batch.fold_many(start(replace(SETTINGS["cost"], interval=True), WindowTally()), 0.5, empty)


@pytest.mark.parametrize("axis", list(Axis))
def test_cells_in_columns_are_the_cells_of_values(axis: Axis) -> None:
    """Scalar and batch constructors agree, on random values and at the ends."""
    rng = np.random.default_rng(5)
    drawn = {Axis.LOG: rng.lognormal(0, 4, 500), Axis.SCORE: rng.random(500), Axis.BINARY: rng.integers(0, 2, 500)}
    ends = {Axis.LOG: [0.0, 1e-9, 1e9], Axis.SCORE: [0.0, 1.0], Axis.BINARY: [0.0, 1.0]}
    values = np.concatenate((np.asarray(drawn[axis], dtype=float), ends[axis]))
    cells = cells_of(axis, values)
    assert cells.tolist() == [cell_of(axis, value) for value in values.tolist()]
    assert values_of(axis, cells).tolist() == pytest.approx([value_of(axis, cell) for cell in cells.tolist()])


def test_columns_of_tallies() -> None:
    """Columns hold every request of a tally once, those without a value too."""
    tally = ClassTally(5, {"failure": {0: 2, 1: 1}})
    found = columns_of(
        {7: WindowTally({Arm.CANDIDATE: {"a": tally}}), 9: WindowTally({Arm.INCUMBENT: {"b": tally}})}, "failure"
    )
    assert found.windows.tolist() == [7, 9]
    assert found.sums(found.n).tolist() == [5, 5]
    assert found.cell.tolist() == [0, 1, NO_VALUE, 0, 1, NO_VALUE]
    assert found.sums(found.cell == NO_VALUE).tolist() == [1, 1]
    whole = columns_of({7: WindowTally({Arm.CANDIDATE: {"a": ClassTally(3, {"failure": {0: 2, 1: 1}})}})}, "failure")
    assert whole.cell.tolist() == [0, 1]


def test_swapped_columns_differ_in_the_arm_alone() -> None:
    """Everything but who was assigned stays."""
    columns = Columns(
        windows=np.array([3, 4]),
        starts=np.array([0, 2, 3]),
        names=("a", "b"),
        candidate=np.array([True, False, True]),
        kind=np.array([0, 1, 0]),
        cell=np.array([5, 6, 7]),
        n=np.array([1, 2, 3]),
        known_s=np.array([0.5, 1.5, 2.5]),
    )
    swapped = columns.swapped()
    assert swapped.candidate.tolist() == [False, True, False]
    assert swapped.names == columns.names
    for name in ("windows", "starts", "kind", "cell", "n", "known_s"):
        assert np.array_equal(getattr(swapped, name), getattr(columns, name))


def test_sample_ratio_of_many() -> None:
    """The sample-ratio process over many readings is the one that reads them one by one."""
    rng = np.random.default_rng(8)
    incumbents, candidates = rng.poisson(20, 50), rng.poisson(6, 50)
    many, path = sample_ratio.fold_many(sample_ratio.start(), 0.2, incumbents, candidates)
    one = sample_ratio.start()
    for index in range(50):
        one = sample_ratio.fold(one, 0.2, int(incumbents[index]), int(candidates[index]))
        assert path.values()[index] == pytest.approx(sample_ratio.log_e(one), abs=1e-9)
    assert many.total == pytest.approx(one.total, abs=1e-9)
    assert (many.n_incumbent, many.n_candidate) == (one.n_incumbent, one.n_candidate)
    assert path.bound() >= path.values().max()
    nothing = np.zeros(0, dtype=np.int64)
    same, empty = sample_ratio.fold_many(many, 0.2, nothing, nothing)
    assert same == many
    assert empty.values().tolist() == []
    assert empty.bound() == -np.inf
