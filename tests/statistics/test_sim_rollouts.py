"""Whole rollouts through the simulator: the promises hold within exact binomial tolerance (fixed seeds).

The smoke runs take seconds; `make bench` runs the sizes that docs/decisions.md reports (marker `slow`).
"""

from dataclasses import replace
from typing import Any

import pytest

from controller.schema import POLICIES
from controller.schema.scenario import load_scenario
from controller.sim.report import default_jobs, simulate
from controller.stats.binomial import upper_tail
from controller.stats.tally import WINDOW_S

SCENARIOS = POLICIES / "scenarios"
BUDGET = 0.01
IMPROBABLE = 1e-4


def simulated(name: str, runs: int, seed: int, requests: int, jobs: int = 1) -> dict[str, Any]:
    scenario = load_scenario(SCENARIOS / f"{name}.yaml")
    scenario = replace(scenario, duration_s=min(scenario.duration_s, requests * WINDOW_S))
    return simulate(scenario, runs, seed, jobs)


@pytest.mark.parametrize("name", ["boundary-10", "boundary-ramp", "boundary-sticky"])
def test_the_boundary_is_rarely_reverted(name: str) -> None:
    """Judged after each of 3,000 requests, a candidate at the edge of all eight limits stays within the budget."""
    found = simulated(name, 40, 11, 3_000)
    assert upper_tail(found["outcomes"]["reverted"], 40, BUDGET) > IMPROBABLE


@pytest.mark.parametrize(("name", "most"), [("swap-1", 5), ("swap-10", 7), ("swap-50", 15)])
def test_the_swap_is_reverted_within_a_few_images(name: str, most: int) -> None:
    """A model 3.5 times slower is reverted in every run, nearly always within 5, 7 and 15 candidate images."""
    found = simulated(name, 30, 12, 10_000)
    assert found["outcomes"]["reverted"] == 30
    assert found["candidate_images"]["p95"] <= most


def test_the_story_is_told() -> None:
    """On the policy for real traffic the bad swap is reverted in shadow, before any user sees it."""
    found = simulated("story-bad-swap", 20, 13, 10**9)
    assert found["outcomes"]["reverted"] == 20
    assert found["users_exposed"]["p99"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["boundary-1", "boundary-10", "boundary-50", "boundary-ramp"])
def test_the_boundary_is_rarely_reverted_in_many_runs(name: str) -> None:
    """Of 2,000 runs of 100,000 requests at most 36 are reverted at a budget of 1 %."""
    assert simulated(name, 2_000, 1, 100_000, default_jobs())["outcomes"]["reverted"] <= 36


@pytest.mark.slow
@pytest.mark.parametrize(("name", "most"), [("swap-1", 5), ("swap-10", 7), ("swap-50", 15)])
def test_the_swap_is_reverted_within_a_few_images_in_many_runs(name: str, most: int) -> None:
    """Of 1,000 runs each is reverted, 99 % of them within 5, 7 and 15 candidate images."""
    found = simulated(name, 1_000, 1, 10_000, default_jobs())
    assert found["outcomes"]["reverted"] == 1_000
    assert found["candidate_images"]["p99"] <= most
