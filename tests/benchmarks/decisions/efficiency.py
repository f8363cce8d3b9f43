"""Our tests one by one against the floor: judged after every request, each at the level it has among eight.

The candidate's change is measured against no allowed change at all (a ratio of 1, a difference of 0), which is the
hardest null. The engine is the whole one: tuned from 5,000 requests of history, with restarts of its mixture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from controller.core.policy import Criterion, Requires
from controller.schema.arms import Arm
from controller.schema.scenario import RequestClass
from controller.sim.run import Run
from controller.stats.tally import WINDOW_S
from tests.benchmarks.decisions import floor
from tests.benchmarks.decisions.outcome import Call
from tests.benchmarks.decisions.worlds import (
    FAULTS,
    FIVE_CLASSES,
    LATENCY,
    costs,
    dearer,
    incumbent,
    lognormal,
    scenario,
    share_stage,
    slower,
)

LEVEL = 0.01 / 8
SHARES = (0.01, 0.10, 0.50)
MOST_REQUESTS = 3_000_000
ONE_CLASS = (RequestClass("all", 1.0, 1.0, {}),)
CLASS_LATENCY = lognormal(-0.151, 0.12)


@dataclass(frozen=True, slots=True)
class Cell:
    """One test, one change, one share; `most_ratio` (to the floor) or `most_images` is the goal for the mean."""

    name: str
    criterion: Criterion
    incumbent: Arm
    candidate: Arm
    share: float
    floor: float
    most_ratio: float | None = None
    most_images: float | None = None
    classes: tuple[RequestClass, ...] = ONE_CLASS

    @property
    def key(self) -> str:
        """Return the name in the book of results."""
        return f"efficiency/{self.name}/{self.share:g}"

    def decide(self, seed: int, run: int) -> Sequence[Call]:
        """Return how a run ends: reverted after so many candidate images."""
        made = scenario(
            self.name,
            [self.criterion],
            [share_stage(self.share, 10**9, Requires.IMAGES)],
            LEVEL,
            self.candidate,
            1 / WINDOW_S,
            MOST_REQUESTS * float(WINDOW_S),
        )
        result = Run(replace(made, incumbent=self.incumbent, classes=self.classes), seed, run).go()
        return [Call(result.outcome, result.candidate_images, result.duration_s)]

    def goal(self) -> float | None:
        """Return the goal in candidate images."""
        return self.most_images if self.most_ratio is None else self.most_ratio * self.floor


@cache
def cells() -> tuple[Cell, ...]:
    """Return every cell, the quick ones first."""
    return (*_laws(), *_costs(), *_texts(), *_rates(), *_quantiles())


def sound(arm: Arm) -> Arm:
    """Return the arm without failures, so that every latency is known."""
    return replace(arm, rates=dict.fromkeys(arm.rates, 0.0))


def _laws() -> Iterator[Cell]:
    law = Criterion("latency_s", "law", max_ratio=1.0)
    classed = replace(sound(incumbent()), laws={**incumbent().laws, "latency_s": CLASS_LATENCY})
    changed = replace(classed, scale={"latency_s": 1.1})
    least = floor.of_law(CLASS_LATENCY, 1.1, 0.10)
    yield Cell("five classes 1.1x", law, classed, changed, 0.10, least, most_images=60, classes=FIVE_CLASSES)
    for factor in (1.25, 1.1, 1.05):
        for share in SHARES:
            least = floor.of_law(LATENCY, factor, share)
            yield Cell(f"law {factor}x", law, sound(incumbent()), sound(slower(factor)), share, least, 1.5)


def _quantiles() -> Iterator[Cell]:
    for statistic, level in (("p95", 0.95), ("p99", 0.99)):
        for factor in (1.25, 1.1):
            for share in SHARES:
                least = floor.of_quantile(LATENCY, level, factor, share)
                criterion = Criterion("latency_s", statistic, max_ratio=1.0)
                arms = (sound(incumbent()), sound(slower(factor)))
                yield Cell(f"{statistic} {factor}x", criterion, *arms, share, least, 1.35)


def _rates() -> Iterator[Cell]:
    criterion = Criterion("failure", "rate", max_ratio=1.0)
    for share in SHARES:
        least = floor.of_rate(0.01, 0.001, share)
        yield Cell("failures .1 % to 1 %", criterion, incumbent(), FAULTS["errors"], share, least, 1.3)


def _costs() -> Iterator[Cell]:
    criterion = Criterion("cost_usd", "mean", max_ratio=1.0)
    values = np.array(costs().values)
    for factor in (2.0, 1.25, 1.1):
        for share in SHARES[:2]:
            least = floor.of_mean(values * factor, float(values.mean()))
            yield Cell(f"cost {factor:g}x", criterion, sound(incumbent()), sound(dearer(factor)), share, least, 1.4)


def _texts() -> Iterator[Cell]:
    criterion = Criterion("text_accuracy", "mean", max_drop=0.0)
    for share in SHARES[:2]:
        least = floor.of_mean(_worse_losses(), 0.05)
        arms = (sound(incumbent()), sound(FAULTS["text"]))
        yield Cell("text .95 to .90", criterion, *arms, share, least, most_images=120)


@cache
def _worse_losses() -> floor.Floats:
    rng = np.random.default_rng(7)
    n = 400_000
    return np.where(rng.random(n) < 0.6, 0.0, 1.0 - rng.beta(6.0, 2.0, n))
