"""The offline gate: its tests hold their level at the exact margin, looking after every pair, and it decides in time.

`make bench` runs the same worlds with ten times the runs (marker `slow`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from controller.core.policy import Criterion
from controller.core.verdict import Verdict
from controller.gate.judge import GateAssessment
from controller.schema import load_policy
from controller.schema.suite import load_suite
from controller.stats import pair_criterion
from controller.stats.binomial import upper_tail
from controller.stats.bins import Axis
from controller.stats.criterion import CriterionSetting, Statistic
from tests.unit.gate.world import Painter, bench, gated, latency, rate, score, suite

ALPHA = 0.05
PAIRS = 120
RATIO = 1.25
Pair = Callable[[np.random.Generator], tuple[float, float]]


@dataclass(frozen=True)
class World:
    """A criterion and pairs exactly at its margin, which is the boundary of harm and of safety alike."""

    setting: CriterionSetting
    pair: Pair


def quantity(statistic: Statistic, **margin: float) -> CriterionSetting:
    return CriterionSetting("latency_s", Axis.LOG, True, statistic, interval=False, **margin)


def failure(**margin: float) -> CriterionSetting:
    return CriterionSetting("failure", Axis.BINARY, True, Statistic.RATE, interval=False, **margin)


def text(**margin: float) -> CriterionSetting:
    return CriterionSetting("text_accuracy", Axis.SCORE, False, Statistic.MEAN, interval=False, **margin)


def time_s(rng: np.random.Generator) -> float:
    """Return a latency with noise and now and then a stall."""
    return math.exp(0.15 * rng.standard_normal()) * (4.0 if rng.random() < 0.02 else 1.0)


def scaled(rng: np.random.Generator) -> tuple[float, float]:
    return time_s(rng), RATIO * time_s(rng)


def around_the_ratio(rng: np.random.Generator) -> tuple[float, float]:
    """Return a pair whose log ratio is symmetric about the margin, with a difficulty that both share."""
    hard = math.exp(rng.standard_normal())
    return hard, hard * RATIO * math.exp(0.15 * rng.standard_normal())


def letters(p0: float, p1: float) -> Pair:
    return lambda rng: (rng.binomial(4, p0) / 4, rng.binomial(4, p1) / 4)


def flags(p0: float, p1: float) -> Pair:
    return lambda rng: (float(rng.random() < p0), float(rng.random() < p1))


WORLDS = {
    "p50": World(quantity(Statistic.P50, max_ratio=RATIO), scaled),
    "p95": World(quantity(Statistic.P95, max_ratio=RATIO), scaled),
    "mean": World(quantity(Statistic.MEAN, max_ratio=RATIO), scaled),
    "mean in seconds": World(
        quantity(Statistic.MEAN, max_increase=0.5), lambda rng: (rng.uniform(0.5, 1.0), rng.uniform(1.0, 1.5))
    ),
    "law": World(quantity(Statistic.LAW, max_ratio=RATIO), around_the_ratio),
    "score": World(text(max_drop=0.05), letters(0.9, 0.85)),
    "rate": World(failure(max_increase=0.1), flags(0.05, 0.15)),
    "ratio of rates": World(failure(max_ratio=2.0), flags(0.1, 0.2)),
    "limit of p95": World(
        quantity(Statistic.P95, limit=2.0), lambda rng: (1.0, 3.0 if rng.random() < 0.05 else rng.uniform(0.5, 1.5))
    ),
    "limit of a mean": World(quantity(Statistic.MEAN, limit=2.0), lambda rng: (1.0, float(rng.choice([1.0, 3.0])))),
    "limit of a score": World(text(limit=0.9), letters(0.9, 0.9)),
    "limit of a rate": World(failure(limit=0.05), flags(0.05, 0.05)),
}


def within_tolerance(hits: int, runs: int, level: float = ALPHA) -> bool:
    """Say whether so many hits have a probability above 1e-4 at a level."""
    return upper_tail(hits, runs, level) > 1e-4


def crossings(world: World, runs: int, seed: int) -> tuple[int, int]:
    """Return in how many runs harm, and in how many safety, ever reached 1 / ALPHA, looking after every pair."""
    harm = safety = 0
    for number in range(runs):
        rng = np.random.default_rng([seed, number])
        state = pair_criterion.start(world.setting)
        seen = []
        for _ in range(PAIRS):
            state = pair_criterion.fold(state, *world.pair(rng))
            seen.append(pair_criterion.log_evidence(state))
        harm += max(log_harm for log_harm, _ in seen) >= -math.log(ALPHA)
        safety += max(log_safety for _, log_safety in seen) >= -math.log(ALPHA)
    return harm, safety


@pytest.mark.parametrize("name", WORLDS)
def test_level_holds_at_the_margin(name: str) -> None:
    """Neither harm nor safety crosses 1 / alpha more often than alpha when the candidate is exactly at its margin."""
    harm, safety = crossings(WORLDS[name], 60, seed=61)
    assert within_tolerance(harm, 60)
    assert within_tolerance(safety, 60)


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_level_holds_at_the_margin_in_many_runs(name: str) -> None:
    """The same with 1000 runs."""
    harm, safety = crossings(WORLDS[name], 1000, seed=62)
    assert within_tolerance(harm, 1000)
    assert within_tolerance(safety, 1000)


def uneven(rng: np.random.Generator) -> list[tuple[float, float]]:
    """Return three shuffled repeats of 40 prompts: ten lose 0.8, thirty gain 0.2, so 0.05 is lost on average."""
    drops = np.repeat([0.8, -0.2], [10, 30])
    return [(0.5, 0.5 - drop) if drop < 0 else (0.9, 0.9 - drop) for _ in range(3) for drop in rng.permutation(drops)]


def test_level_holds_for_a_suite_whose_mean_is_at_the_margin() -> None:
    """Drawn without replacement, a suite of some far worse and many better prompts is neither passed nor failed."""
    harm = safety = 0
    for number in range(100):
        rng = np.random.default_rng([63, number])
        state = pair_criterion.start(text(max_drop=0.05))
        seen = []
        for incumbent, candidate in uneven(rng):
            state = pair_criterion.fold(state, incumbent, candidate)
            seen.append(pair_criterion.log_evidence(state))
        harm += max(log_harm for log_harm, _ in seen) >= -math.log(ALPHA)
        safety += max(log_safety for _, log_safety in seen) >= -math.log(ALPHA)
    assert within_tolerance(harm, 100)
    assert within_tolerance(safety, 100)


SMALL = suite(text=20, things=0)
AT_THE_MARGIN = Painter(latency_s=0.25 * RATIO, letters=0.94, refusals=0.1)
"""Refusals, because a failed drawing is late as well: at the margin of failures it would be beyond that of latency."""


def at_the_margin(seed: int, *criteria: Criterion, candidate: Painter) -> GateAssessment:
    policy = gated(*criteria, min_repeats=1, max_repeats=4)
    return bench(policy, candidate, seed=seed, of=SMALL)[0]


def false_reverts(runs: int, seed: int) -> int:
    """Return how often a candidate at every margin at once is failed."""
    criteria = (
        latency(statistic="law", max_ratio=RATIO),
        latency(max_ratio=RATIO),
        Criterion("cost_usd", "mean", max_ratio=RATIO),
        score("text_accuracy", max_drop=0.05),
        rate("refusal", max_increase=0.1),
    )
    seeds = [int(value) for value in np.random.default_rng(seed).integers(2**31, size=runs)]
    return sum(at_the_margin(one, *criteria, candidate=AT_THE_MARGIN).verdict is Verdict.FAIL for one in seeds)


def false_promotes(runs: int, seed: int) -> int:
    """Return how often a candidate at one margin and fine in all else passes."""
    criteria = (latency(max_ratio=RATIO), score("text_accuracy", max_drop=0.1), rate(max_increase=0.1))
    seeds = [int(value) for value in np.random.default_rng(seed).integers(2**31, size=runs)]
    slower = Painter(latency_s=0.25 * RATIO)
    return sum(at_the_margin(one, *criteria, candidate=slower).verdict is Verdict.PASS for one in seeds)


def test_the_budgets_hold_for_the_whole_gate() -> None:
    """At the margins a bench that may stop after every pair fails and passes within the declared error budgets."""
    assert within_tolerance(false_reverts(40, seed=71), 40, 0.01)
    assert within_tolerance(false_promotes(40, seed=72), 40, 0.1)


@pytest.mark.slow
def test_the_budgets_hold_for_the_whole_gate_in_many_runs() -> None:
    """The same with 1000 runs."""
    assert within_tolerance(false_reverts(1000, seed=73), 1000, 0.01)
    assert within_tolerance(false_promotes(1000, seed=74), 1000, 0.1)


DEMO, TINY = load_policy("demo"), load_suite("tiny").suite


def demo(candidate: Painter, seed: int, incumbent: Painter | None = None) -> GateAssessment:
    """Bench a candidate under the demo's policy on the suite of the small model."""
    return bench(DEMO, candidate, incumbent, seed=seed, of=TINY)[0]


@pytest.mark.parametrize("machine", [Painter(), Painter(noise=0.2, stalls=0.04)], ids=["usual", "restless"])
def test_the_incumbent_passes_against_itself(machine: Painter) -> None:
    """Under the demo's policy 20 of 20 seeded benches of two equal arms pass, also where the machine stalls."""
    verdicts = [demo(machine, seed, machine).verdict for seed in range(20)]
    assert verdicts == [Verdict.PASS] * 20


@pytest.mark.parametrize(
    ("candidate", "named"),
    [
        (Painter(letters=0.6), ("text accuracy", "words read exactly")),
        (Painter(latency_s=0.5), ("latency p50", "cost per image")),
    ],
)
def test_a_bad_swap_fails_within_the_first_repeat(candidate: Painter, named: tuple[str, ...]) -> None:
    """Text accuracy of 0.6 against 0.99, or twice the latency, is refused after one repeat in 20 of 20, by its name."""
    for seed in range(20):
        assessment = demo(candidate, seed)
        assert (assessment.verdict, assessment.repeats) == (Verdict.FAIL, 1)
        assert all(title in assessment.reason for title in named)
