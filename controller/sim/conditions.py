"""What a scenario's weather is in each window: drift of both arms, noise of each arm's own, the mix of classes."""

import math

import numpy as np

from controller.schema.scenario import Scenario
from controller.stats.columns import Bools, Floats, Ints
from controller.stats.tally import WINDOW_S

START_S = 1_000_000.0
"""When every run begins on its simulated clock: the beginning of a window."""
DRIFTING = frozenset({"latency_s", "service_s", "queue_s"})
_DAY_S = 86_400.0


class Conditions:
    """Drift, noise and mix; constant within a window."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator) -> None:
        self._scenario = scenario
        self._rng = rng
        self._noise: tuple[list[float], list[float]] = ([], [])

    def class_shares(self, window: Ints) -> Floats:
        """Return the share of each class (columns) in each window."""
        classes = self._scenario.classes
        passed = np.clip(_passed_s(window) / self._scenario.duration_s, 0.0, 1.0)[:, None]
        starts, ends = (np.array([getattr(item, name) for item in classes]) for name in ("share", "share_end"))
        return np.asarray(starts + passed * (ends - starts))

    def log_factor(self, window: Ints, candidate: Bools) -> Floats:
        """Return what is added to a request's log latency: drift of both arms and noise of its own."""
        scenario, passed_s = self._scenario, _passed_s(window)
        factor = 1.0 + (scenario.trend - 1.0) * np.clip(passed_s / scenario.duration_s, 0.0, 1.0)
        factor = factor * (1.0 + scenario.daily_amplitude * np.sin(2.0 * math.pi * passed_s / _DAY_S))
        added = np.log(factor)
        if scenario.noise_sigma > 0 and len(window):
            first = int(START_S // WINDOW_S) - 1
            self._extend_noise(int(window[-1]) - first + 1)
            noise = np.array(self._noise)
            added += noise[candidate.astype(np.int64), window - first]
        return np.asarray(added)

    def _extend_noise(self, n: int) -> None:
        """Let each arm's wave, an AR(1) process over windows, go on to its n-th window."""
        sigma = self._scenario.noise_sigma
        keeps = math.exp(-WINDOW_S / self._scenario.noise_correlation_s)
        for wave in self._noise:
            missing = max(0, n - len(wave))
            value = wave[-1] if wave else sigma * float(self._rng.standard_normal())
            for step in (sigma * math.sqrt(1.0 - keeps**2) * self._rng.standard_normal(missing)).tolist():
                value = keeps * value + step
                wave.append(value)


def _passed_s(window: Ints) -> Floats:
    return np.asarray((window + 0.5) * WINDOW_S - START_S, dtype=np.float64)
