"""Many requests at once: where windows hold thousands and nothing depends on one of them, they are counted.

Counted is exact in law where all requests of a second on one arm and of one class are alike: no outage, no users who
come again, no death that takes its followers along, no fault that begins within the window, and laws whose cells'
masses are known (`masses`). Elsewhere, and in small windows, `world` draws every request.
"""

import math
from collections.abc import Sequence

import numpy as np

from controller.core.judge import SCORE_SETTLE_S
from controller.core.policy import METRICS
from controller.schema.arms import Arm
from controller.schema.laws import Law
from controller.schema.scenario import Scenario
from controller.sim import lots, masses
from controller.sim.conditions import DRIFTING, Conditions
from controller.sim.lots import Lots, Odds, Slices
from controller.stats.bins import Axis
from controller.stats.columns import Floats, Ints
from controller.stats.tally import WINDOW_S

CROWD_REQUESTS = 2_000
"""Requests in a window from which on they are counted; counting costs the same for any number."""


def is_crowd(scenario: Scenario, metrics: Sequence[str]) -> bool:
    """Say whether requests can be counted, and there are so many that it pays."""
    if scenario.rate_per_s * WINDOW_S < CROWD_REQUESTS or scenario.outages or scenario.users:
        return False
    arms = (scenario.incumbent, scenario.candidate)
    if any(arm.oom_per_image for arm in arms):
        return False
    return all(
        _mass(arm.laws[metric], metric, 0.0) is not None for arm in arms for metric in metrics if _valued(metric)
    )


class Crowd:
    """The counts of a scenario's requests."""

    def __init__(self, scenario: Scenario, metrics: Sequence[str], conditions: Conditions) -> None:
        self._scenario = scenario
        self._conditions = conditions
        self._metrics = [metric for metric in metrics if _valued(metric)]
        self._names = tuple(item.name for item in scenario.classes)
        self._known: dict[tuple[bool, int], tuple[float, Odds]] = {}

    def draw(self, rng: np.random.Generator, from_s: float, n_windows: int, share: float, already: int) -> Lots:
        """Return the requests from a moment to the end of the n-th window that ends after it, as `World.draw` does."""
        at = lots.slices(from_s, n_windows)
        n = self._assigned(rng, at, already)
        candidates = rng.binomial(n, share)
        shares = self._conditions.class_shares(at.window)
        by_class = [
            rng.multinomial(count, shares / shares.sum(axis=1)[:, None]) for count in (n - candidates, candidates)
        ]
        arms = np.zeros(len(at.window), dtype=np.bool_)
        shifts = np.stack([self._conditions.log_factor(at.window, arm) for arm in (arms, ~arms)])
        # Windows with the same weather are drawn together.
        begins = np.flatnonzero(np.append(True, (np.diff(shifts) != 0).any(axis=0)))
        found = None
        for first, last in zip(begins, np.append(begins[1:], len(at.window)), strict=True):
            part = Slices(at.window[first:last], at.begin_s[first:last], at.length_s[first:last])
            counts = [count[first:last] for count in by_class]
            drawn = self._drawn(rng, part, counts, shifts[:, first])
            found = drawn if found is None else drawn.after(found)
        assert found is not None
        return found

    def _assigned(self, rng: np.random.Generator, at: Slices, already: int) -> Ints:
        """Return the requests that arrive in each slice."""
        wanted = self._scenario.window_requests
        if wanted is None:
            return rng.poisson(self._scenario.rate_per_s * at.length_s)
        counts = []
        for window in np.unique(at.window).tolist():
            length_s = at.length_s[at.window == window]
            left = max(0, wanted - already) if window == at.window[0] else wanted
            counts.append(rng.multinomial(left, length_s / length_s.sum()))
        return np.concatenate(counts)

    def _drawn(self, rng: np.random.Generator, at: Slices, counts: Sequence[Ints], shifts: Floats) -> Lots:
        parts = [
            (bool(side), kind, counts[side][:, kind], self._odds(bool(side), kind, float(shifts[side])))
            for side in range(2)
            for kind in range(len(self._names))
        ]
        return lots.draw(rng, at, self._names, parts)

    def _odds(self, candidate: bool, kind: int, shift: float) -> Odds:  # noqa: FBT001
        """Return what becomes of a request; computed again only when the weather changed."""
        known = self._known.get((candidate, kind))
        if known is None or known[0] != shift:
            scenario = self._scenario
            arm = scenario.candidate if candidate else scenario.incumbent
            odds = Odds(
                masses={metric: self._masses(arm, metric, kind, shift) for metric in self._metrics},
                rates=arm.rates,
                absent=absent_share(scenario),
                timeout_s=scenario.timeout_s,
            )
            known = self._known[candidate, kind] = shift, odds
        return known[1]

    def _masses(self, arm: Arm, metric: str, kind: int, shift: float) -> Floats:
        scale = self._scenario.classes[kind].scale.get(metric, 1.0) * arm.scale.get(metric, 1.0)
        found = _mass(arm.laws[metric], metric, math.log(scale) + (shift if metric in DRIFTING else 0.0))
        assert found is not None
        found = found / found.sum()
        return lots.late_masses(found, self._scenario.timeout_s) if metric == "latency_s" else found


def absent_share(scenario: Scenario) -> float:
    """Return the probability that a score never comes, or too late to be read."""
    late = 0.0
    if scenario.score_delay_s > 0 and scenario.score_delay_sigma > 0:
        late = 0.5 * math.erfc(
            math.log(SCORE_SETTLE_S / scenario.score_delay_s) / (scenario.score_delay_sigma * math.sqrt(2.0))
        )
    elif scenario.score_delay_s > SCORE_SETTLE_S:
        late = 1.0
    return scenario.score_missing + (1.0 - scenario.score_missing) * late


def _valued(metric: str) -> bool:
    return METRICS[metric].axis is not Axis.BINARY


def _mass(law: Law, metric: str, shift: float) -> Floats | None:
    return masses.score(law) if METRICS[metric].axis is Axis.SCORE else masses.quantity(law, shift)
