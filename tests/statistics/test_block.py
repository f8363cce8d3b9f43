"""Blocks under noise of the replicas: their level holds where that of requests does not, and they still find harm."""

import math

import numpy as np
import pytest

from controller.stats import batch
from controller.stats.bins import Axis
from controller.stats.columns import Columns, log_cells
from controller.stats.criterion import CriterionSetting, ProcessState, Statistic, start
from controller.stats.noise import LASTING_SUPPORT, SUPPORT
from controller.stats.tally import WINDOW_S, Arm, WindowTally
from tests.statistics.test_calibration import within_tolerance
from tests.statistics.test_noise import wave
from tests.statistics.worlds import class_tally, latencies

ALPHA, RATE, SHARE = 0.05, 2.0, 0.3
BLOCK_S = 600.0


def setting(max_ratio: float, block_s: float | None) -> CriterionSetting:
    return CriterionSetting(
        "latency_s", Axis.LOG, True, Statistic.P50, max_ratio=max_ratio, block_s=block_s, interval=False
    )


def columns(rng: np.random.Generator, hours: float, sigma: float, correlation_s: float, factor: float) -> Columns:
    """Draw an A/A rollout, the candidate slower by a factor, each arm's pool with a slow state of its own."""
    n_windows = int(hours * 3600 / WINDOW_S)
    pools = np.array([wave(rng, n_windows, sigma, correlation_s) for _ in Arm])
    window = np.repeat(np.arange(n_windows), rng.poisson(RATE * WINDOW_S, n_windows))
    candidate = rng.random(len(window)) < SHARE
    logs = np.log(latencies(rng, len(window))) + pools[candidate.astype(int), window] + candidate * math.log(factor)
    windows, starts = np.unique(window, return_index=True)
    ones = np.ones(len(window), dtype=np.int64)
    return Columns(windows + 1000, np.append(starts, len(window)), ("a",), candidate, 0 * ones, log_cells(logs), ones)


def reached(
    limits: CriterionSetting, runs: int, seed: int, hours: float, sigma: float, correlation_s: float, factor: float
) -> tuple[int, int, list[int]]:
    """Return in how many runs harm and safety ever reached 1 / ALPHA, and the windows that harm took."""
    hits, took = [0, 0], []
    for number in range(runs):
        rng = np.random.default_rng([seed, number])
        history = WindowTally({Arm.INCUMBENT: {"a": class_tally("latency_s", Axis.LOG, latencies(rng, 5000))}})
        state: ProcessState = start(limits, history)
        _, path = batch.fold_many(state, SHARE, columns(rng, hours, sigma, correlation_s, factor))
        for side, log_e in enumerate((path.log_harm, path.log_safety)):
            crossed = np.flatnonzero(log_e >= -math.log(ALPHA))
            hits[side] += bool(crossed.size)
            if side == 0 and crossed.size:
                took.append(int(crossed[0]))
    return hits[0], hits[1], took


@pytest.mark.parametrize(("sigma", "correlation_s"), [(0.05, 200.0), (0.10, 100.0)])
def test_the_level_of_blocks_holds_under_noise(sigma: float, correlation_s: float) -> None:
    """At the exact boundary neither harm nor safety crosses 1 / alpha more often than alpha in half a day."""
    harm, safety, _ = reached(setting(1.05, BLOCK_S), 25, 51, 12.0, sigma, correlation_s, 1.05)
    assert within_tolerance(harm, 25)
    assert within_tolerance(safety, 25)


def test_requests_are_fooled_where_blocks_are_not() -> None:
    """An identical candidate allowed 1.02x is convicted by its pool's noise request by request, not by blocks."""
    noisy = (20, 52, 24.0, 0.05, 200.0, 1.0)
    by_request, _, _ = reached(setting(1.02, None), *noisy)
    by_block, _, _ = reached(setting(1.02, BLOCK_S), *noisy)
    assert by_request >= 7
    assert by_block <= 2


def test_a_change_that_the_noise_supports_is_not_fooled() -> None:
    """At log ratio = 2 s, or 3 s where noise lasts, requests convict an identical candidate as rarely as promised."""
    for sigma, correlation_s, support in (
        (0.03, 200.0, SUPPORT),
        (0.05, 900.0, SUPPORT),
        (0.08, 3600.0, LASTING_SUPPORT),
    ):
        allowed = math.exp(support * math.sqrt(2) * sigma)
        harm, _, _ = reached(setting(allowed, None), 20, 53, 12.0, sigma, correlation_s, 1.0)
        assert within_tolerance(harm, 20)


def test_blocks_find_and_prove() -> None:
    """1.25 times slower is found in hours at an allowed 1.05; an identical candidate is proven within 1.15."""
    harm, _, took = reached(setting(1.05, BLOCK_S), 10, 54, 12.0, 0.05, 200.0, 1.25)
    assert harm == 10
    assert np.mean(took) * WINDOW_S < 4 * 3600
    _, safety, _ = reached(setting(1.15, BLOCK_S), 10, 55, 12.0, 0.05, 200.0, 1.0)
    assert safety == 10
