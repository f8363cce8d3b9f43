"""The worlds that every rule is shown, as scenarios of our own simulator.

Latency is a lognormal body with a lognormal tail: mean .900 s, p50 .866 s, p95 1.295 s, p99 1.700 s. Cost has a
Pareto tail and retries that double it: mean 1, standard deviation .40. Text accuracy is perfect three times in four.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from controller.core.policy import Budget, Criterion, Mode, OnDeadline, Policy, Requires, Stage
from controller.schema.arms import RATES, Arm
from controller.schema.laws import Law, Tail
from controller.schema.scenario import RequestClass, Scenario
from controller.stats.tally import WINDOW_S

MEAN_S, P99_S = 0.900, 1.700
COST, LOSS = 1.0, 0.05
"""The incumbent's mean cost and mean loss of text accuracy."""
HISTORY = 5000
_COSTS, _COST_SEED = 20_000, 20_250_101


def lognormal(mu: float, sigma: float, share: float = 0.0, tail_mu: float = 0.0, tail_sigma: float = 0.0) -> Law:
    """Return exp(N(mu, sigma)) with a share of exp(N(tail_mu, tail_sigma))."""
    tail = Tail(share, math.exp(tail_mu), tail_sigma) if share else None
    return Law("lognormal", (math.exp(mu), sigma), tail)


LATENCY = lognormal(-0.151, 0.22, 0.03, 0.375, 0.30)
SWAP = lognormal(1.065, 0.30, 0.05, 1.790, 0.35)
TEXT = Law("beta", (0.80, 10.0), exact_share=0.75)
WORSE_TEXT = Law("beta", (0.75, 8.0), exact_share=0.60)


@cache
def costs() -> Law:
    """Return the law of the cost, as equally likely values with a mean of exactly 1."""
    rng = np.random.default_rng(_COST_SEED)
    values = np.exp(0.35 * rng.standard_normal(_COSTS))
    values *= np.where(rng.random(_COSTS) < 0.01, 1.0 + rng.pareto(2.5, _COSTS), 1.0)
    values *= np.where(rng.random(_COSTS) < 0.01, 2.0, 1.0)
    values = np.minimum(values, 60.0 * values.mean())
    return Law("empirical", values=tuple((values / values.mean()).tolist()))


@cache
def incumbent() -> Arm:
    """Return what the incumbent does."""
    return Arm(
        laws={"latency_s": LATENCY, "cost_usd": costs(), "text_accuracy": TEXT},
        rates={**dict.fromkeys(RATES, 0.0), "failure": 0.001},
        scale={},
        oom_per_image=0.0,
        oom_burst=1,
    )


def slower(factor: float) -> Arm:
    """Return a candidate whose every latency is `factor` times the incumbent's."""
    return replace(incumbent(), scale={"latency_s": factor})


def dearer(factor: float) -> Arm:
    """Return a candidate whose every image costs `factor` times the incumbent's."""
    return replace(incumbent(), scale={"cost_usd": factor})


def with_law(metric: str, law: Law) -> Arm:
    """Return a candidate that differs in one metric's law."""
    return replace(incumbent(), laws={**incumbent().laws, metric: law})


def failing(rate: float) -> Arm:
    """Return a candidate that fails at a rate."""
    return replace(incumbent(), rates={**incumbent().rates, "failure": rate})


FAULTS: Mapping[str, Arm] = {
    "same": incumbent(),
    "1.1x": slower(1.1),
    "1.25x": slower(1.25),
    "1.5x": slower(1.5),
    "3.5x": with_law("latency_s", SWAP),
    "tail2x": with_law("latency_s", lognormal(-0.151, 0.22, 0.06, 0.375, 0.30)),
    "errors": failing(0.01),
    "cost": dearer(1.25),
    "text": with_law("text_accuracy", WORSE_TEXT),
}
"""What a candidate may be: the incumbent, 1.1 to 1.5 times slower, the story's swap, twice the tail, failures
.1 % -> 1 %, cost 1.25 times, text accuracy .95 -> .90."""

FIVE_CLASSES = tuple(
    RequestClass(name, 0.2, 0.2, {"latency_s": scale})
    for name, scale in (("thumb", 0.45), ("small", 0.7), ("square", 1.0), ("wide", 1.6), ("poster", 2.6))
)


@dataclass(frozen=True, slots=True)
class Course:
    """How a rollout goes on if nothing stops it: (share, part of the time) step by step, and what load does."""

    name: str
    steps: tuple[tuple[float, float], ...]
    trend: float = 1.0
    daily: float = 0.0


STEADY = Course("steady", ((0.10, 1.0),))
DRIFT = Course("drift", ((0.10, 1.0),), trend=1.35, daily=0.1)
RAMP = Course("ramp", ((0.01, 10 / 60), (0.05, 8 / 60), (0.25, 6 / 60), (0.50, 36 / 60)), trend=1.35, daily=0.1)
COURSES = (STEADY, DRIFT, RAMP)


@dataclass(frozen=True, slots=True)
class Setting:
    """One world: what the candidate is, requests a minute, and the course."""

    fault: str
    per_minute: int
    course: Course

    @property
    def duration_s(self) -> float:
        """Return how long a rollout lasts at most: 60,000 requests, or three days."""
        return min(60.0 * MOST_REQUESTS / self.per_minute, DEADLINE_S)

    @property
    def requests(self) -> float:
        """Return the expected requests until then."""
        return self.duration_s * self.per_minute / 60.0


MOST_REQUESTS = 60_000
DEADLINE_S = 72 * 3600.0


def scenario(
    name: str,
    criteria: Sequence[Criterion],
    stages: Sequence[Stage],
    false_revert: float,
    candidate: Arm,
    rate_per_s: float,
    duration_s: float,
) -> Scenario:
    """Return a world with a policy of these criteria; `rate_per_s` of 1 / WINDOW_S is one request in each window."""
    policy = Policy(
        name=name,
        budget=Budget(false_revert, 0.05),
        stages=tuple(stages),
        criteria=tuple(criteria),
        deadline_s=duration_s,
        on_deadline=OnDeadline.REVERT,
        bake_s=0.0,
        holdback=0.0,
        ready_timeout_s=600.0,
        evidence_timeout_s=duration_s,
        max_invalid_share=0.01,
    )
    return Scenario(
        name=name,
        policy=policy,
        rate_per_s=rate_per_s,
        window_requests=1 if rate_per_s == 1 / WINDOW_S else None,
        duration_s=duration_s + 3600.0,
        timeout_s=30.0,
        history_requests=HISTORY,
        approve_after_s=0.0,
        within=candidate is incumbent(),
        trend=1.0,
        daily_amplitude=0.0,
        noise_sigma=0.0,
        noise_correlation_s=1.0,
        score_delay_s=1.0,
        score_delay_sigma=0.5,
        score_missing=0.0,
        classes=(RequestClass("all", 1.0, 1.0, {}),),
        outages=(),
        incumbent=incumbent(),
        candidate=candidate,
        from_image=0,
    )


def share_stage(share: float, min_images: int, requires: Requires) -> Stage:
    """Return a stage that serves a share."""
    return Stage(Mode.SHARE, share, max(1, min_images), requires)
