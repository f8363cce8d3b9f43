"""What the planner says is what the simulator sees."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controller.core.judge import start
from controller.core.policy import Budget, Criterion, Mode, Policy, Requires, Stage
from controller.schema import POLICIES
from controller.schema.scenario import Scenario, load_scenario
from controller.sim.growth import Pace, growth, law_of
from controller.sim.plan import Traffic, make_plan
from controller.sim.run import Run
from controller.sim.world import World

WORLD = load_scenario(POLICIES / "scenarios" / "boundary-10.yaml")
HOLD = 10_000_000
RUNS = 100
"""Delays have heavy tails: the mean of twenty is off by a third one time in twenty."""


def alone(criterion: Criterion, stage: Stage, scale: dict[str, float], **arm: Any) -> Scenario:
    """Return a world with one criterion and one stage, and a candidate that differs by `scale` or `arm`."""
    policy: Policy = replace(WORLD.policy, criteria=(criterion,), stages=(stage,), budget=Budget(0.01, 0.05))
    candidate = replace(WORLD.incumbent, scale=scale, **arm)
    return replace(WORLD, policy=policy, candidate=candidate, duration_s=5 * 60_000.0)


def images(scenario: Scenario, runs: int, outcome: str) -> float:
    results = [Run(scenario, 5, number).go() for number in range(runs)]
    assert {result.outcome for result in results} == {outcome}
    return float(np.mean([result.candidate_images for result in results]))


def planned(scenario: Scenario) -> dict[str, Any]:
    history = World(replace(scenario, history_requests=20_000), 7, 0).history().tally()
    return make_plan(scenario.policy, scenario.timeout_s, Traffic(scenario.rate_per_s), history)


@pytest.mark.parametrize(
    ("criterion", "metric", "n"),
    [
        (Criterion("latency_s", "p50", max_ratio=1.05), "latency_s", 50),
        (Criterion("latency_s", "p95", max_ratio=1.05), "latency_s", 50),
        (Criterion("latency_s", "law", max_ratio=1.05), "latency_s", 20),
        (Criterion("cost_usd", "mean", max_ratio=1.05), "cost_usd", 50),
    ],
    ids=lambda value: f"{value.metric}-{value.statistic}" if isinstance(value, Criterion) else None,
)
def test_the_smallest_change_is_found_in_its_images(criterion: Criterion, metric: str, n: int) -> None:
    """A candidate changed by what the plan says is found in n images on average is found in n, within a third."""
    scenario = alone(criterion, Stage(Mode.SHARE, 0.1, HOLD, Requires.PASS), {})
    [found] = planned(scenario)["criteria"]
    changed = replace(scenario, candidate=replace(WORLD.incumbent, scale={metric: found["smallest_change"][str(n)]}))
    assert n / 1.35 <= images(changed, RUNS, "reverted") <= n * 1.35 + 2


@pytest.mark.parametrize(
    ("criterion", "n"),
    [(Criterion("failure", "rate", max_increase=0.01), 50), (Criterion("text_accuracy", "mean", max_drop=0.02), 200)],
    ids=["failure", "text"],
)
def test_the_smallest_loss_is_found_in_its_images(criterion: Criterion, n: int) -> None:
    """The same for added failures and for lost accuracy."""
    scenario = alone(criterion, Stage(Mode.SHARE, 0.1, HOLD, Requires.PASS), {})
    [found] = planned(scenario)["criteria"]
    lost = found["smallest_change"][str(n)]
    law = WORLD.incumbent.laws["text_accuracy"]
    worse = (
        {"rates": {**WORLD.incumbent.rates, "failure": 0.001 + lost}}
        if criterion.metric == "failure"
        else {"laws": {**WORLD.incumbent.laws, "text_accuracy": replace(law, exact_share=0.75 - lost / 0.2)}}
    )
    changed = replace(scenario, candidate=replace(WORLD.incumbent, **worse))
    assert n / 1.35 <= images(changed, RUNS, "reverted") <= n * 1.35 + 2


@pytest.mark.parametrize(
    "criterion",
    [
        Criterion("latency_s", "p50", max_ratio=1.1),
        Criterion("latency_s", "p95", max_ratio=1.25),
        Criterion("cost_usd", "mean", max_ratio=1.1),
        Criterion("failure", "rate", max_increase=0.02),
        Criterion("text_accuracy", "mean", max_drop=0.03),
    ],
    ids=lambda value: f"{value.metric}-{value.statistic}",
)
def test_the_images_to_a_promotion(criterion: Criterion) -> None:
    """An identical candidate is promoted after the planned images, within a third."""
    scenario = alone(criterion, Stage(Mode.SHARE, 0.1, 1, Requires.PASS), {})
    decide = planned(scenario)["decide"]["candidate_images"]
    measured = images(scenario, RUNS, "promoted")
    assert decide["mean"] / 1.35 <= measured <= decide["mean"] * 1.25


def test_the_swap_is_found_where_the_plan_says() -> None:
    """The plan's images for a 3.5 times slower model are those of the simulator, to an image or two."""
    criteria = tuple(Criterion("latency_s", statistic, max_ratio=1.1) for statistic in ("p50", "p95", "p99", "law"))
    scenario = alone(criteria[0], Stage(Mode.SHARE, 0.1, HOLD, Requires.PASS), {"latency_s": 3.5})
    scenario = replace(scenario, policy=replace(scenario.policy, criteria=criteria))
    [swap] = [item for item in planned(scenario)["regressions"] if item["factor"] == 3.5]
    assert images(scenario, 20, "reverted") == pytest.approx(swap["candidate_images"], abs=2.5)


def test_growth_of_nothing_is_not_positive() -> None:
    """At the boundary no bet of the harm process has a positive mean growth: that is what validity means."""
    scenario = alone(Criterion("cost_usd", "mean", max_ratio=1.1), Stage(Mode.SHARE, 0.1, 1, Requires.PASS), {})
    history = World(scenario, 7, 0).history().tally()
    state = start(scenario.policy, scenario.timeout_s, history, interval=False).processes[0]
    law = law_of(history, state.setting)
    assert law is not None
    found = growth(state, 0.1, law, law, Pace(1.0), harm=True)
    assert found is not None
    assert (found.mean <= 0).all()
