"""The measurement of replica noise finds the noise that was put in, and the rule made of it keeps the budget."""

import math
from collections import Counter
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest

from controller.stats.bins import Axis
from controller.stats.noise import Noise, measure
from controller.stats.tally import WINDOW_S, Arm, ClassTally, WindowTally
from tests.statistics.worlds import cells_of, latencies

CLASSES = {"small": 0.5, "large": 2.0}


def wave(rng: np.random.Generator, n: int, sigma: float, correlation_s: float) -> np.ndarray:
    """Return an AR(1) process over windows."""
    keeps = math.exp(-WINDOW_S / correlation_s)
    values = [sigma * rng.standard_normal()]
    for step in sigma * math.sqrt(1 - keeps**2) * rng.standard_normal(n - 1):
        values.append(keeps * values[-1] + step)
    return np.array(values)


def world(
    seed: int, sigma: float, correlation_s: float, *, hours: float = 8.0, rate: float = 2.0, share: float = 0.5
) -> Mapping[tuple[int, int], WindowTally]:
    """Return an A/A rollout's tallies: two classes, common drift, noise of `sigma` on each arm's own pool."""
    rng, n = np.random.default_rng([seed, 77]), int(hours * 3600 / WINDOW_S)
    pools = {arm: wave(rng, n, sigma, correlation_s) for arm in Arm}
    drift = 0.3 * np.sin(np.arange(n) / n * 2 * math.pi)
    arms: list[dict[Arm, dict[str, ClassTally]]] = [{arm: {} for arm in Arm} for _ in range(n)]
    for arm, part in ((Arm.CANDIDATE, share), (Arm.INCUMBENT, 1 - share)):
        for name, scale in CLASSES.items():
            counts = rng.poisson(rate * WINDOW_S * part / len(CLASSES), n)
            factors = np.repeat(scale * np.exp(pools[arm] + drift), counts)
            cells = cells_of(Axis.LOG, factors * latencies(rng, len(factors)))
            drawn = Counter(zip(np.repeat(np.arange(n), counts).tolist(), cells.tolist(), strict=True))
            found: list[dict[int, int]] = [{} for _ in range(n)]
            for (window, cell), number in drawn.items():
                found[window][cell] = number
            for window, cells_there in enumerate(found):
                arms[window][arm][name] = ClassTally(int(counts[window]), {"latency_s": cells_there})
    return {(1, window): WindowTally(classes) for window, classes in enumerate(arms)}


@cache
def measured(sigma: float, correlation_s: float, runs: int = 8, **changes: float) -> list[Noise]:
    return [measure(world(seed, sigma, correlation_s, **changes), "latency_s") for seed in range(runs)]


@pytest.mark.parametrize(("sigma", "correlation_s"), [(0.05, 300.0), (0.02, 600.0), (0.10, 120.0)])
def test_known_noise_is_found(sigma: float, correlation_s: float) -> None:
    """Over eight hours the estimate is the deviation of the difference, sqrt(2) times each pool's, to a fifth."""
    found = measured(sigma, correlation_s)
    rms = math.sqrt(np.mean([item.sigma**2 for item in found]))
    assert rms == pytest.approx(math.sqrt(2) * sigma, rel=0.2)
    assert all(item.sigma <= item.sigma_high for item in found)


@pytest.mark.parametrize(("sigma", "correlation_s"), [(0.05, 300.0), (0.10, 120.0)])
def test_how_long_it_lasts_is_found(sigma: float, correlation_s: float) -> None:
    """The correlation time comes out within a factor of 1.7."""
    times_s = [item.correlation_s for item in measured(sigma, correlation_s)]
    assert None not in times_s
    assert math.exp(np.mean(np.log(times_s))) == pytest.approx(correlation_s, rel=0.7)


def test_no_noise_is_called_small() -> None:
    """Two pools that do not differ at all show at most what eight hours can't tell from nothing: 2 %."""
    found = measured(0.0, 100.0)
    assert max(item.sigma for item in found) < 0.022
    assert {item.correlation_s for item in found} == {None}


def test_a_pool_that_is_always_slower_is_noise() -> None:
    """A lasting difference within the run is counted: about 0, not about the run's own mean."""
    [found] = measured(0.10, 1e7, runs=1, hours=3.0)
    assert found.sigma == pytest.approx(abs(found.offset), rel=0.2)


def test_a_small_share_measures_too() -> None:
    """At a share of a tenth blocks are longer, and the noise that comes out is the same to a third."""
    found = measured(0.05, 600.0, share=0.1)
    rms = math.sqrt(np.mean([item.sigma**2 for item in found]))
    assert rms == pytest.approx(math.sqrt(2) * 0.05, rel=0.33)
    assert found[0].block_s > 5


def test_the_bound_holds_in_most_runs() -> None:
    """The 95 % bound covers the true deviation in at least 15 of 20 short runs, where the estimate can't."""
    found = measured(0.05, 600.0, runs=20, hours=1.0)
    assert sum(item.sigma_high >= math.sqrt(2) * 0.05 for item in found) >= 15
