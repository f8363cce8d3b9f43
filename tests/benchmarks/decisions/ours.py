"""Our rule: the real core, asked by the real simulator at every moment at which anything can change."""

from dataclasses import replace

from controller.core.policy import Criterion, Requires
from controller.schema.scenario import Scenario
from controller.sim.run import Run
from controller.stats.tally import WINDOW_S
from tests.benchmarks.decisions.outcome import Call
from tests.benchmarks.decisions.worlds import FAULTS, Setting, scenario, share_stage

CRITERIA = (
    Criterion("latency_s", "law", max_ratio=1.05),
    Criterion("latency_s", "p50", max_ratio=1.10),
    Criterion("latency_s", "p95", max_ratio=1.25),
    Criterion("latency_s", "p99", max_ratio=1.50),
    Criterion("cost_usd", "mean", max_ratio=1.10),
    Criterion("failure", "rate", max_increase=0.003),
    Criterion("text_accuracy", "mean", max_drop=0.02),
)
"""What the policy of the comparison allows; each is a guardrail, all are judged in every world."""

FALSE_REVERT = 0.01


def world(setting: Setting, *, each_request: bool = False) -> Scenario:
    """Return the scenario of a setting under our policy, in windows of 5 s or of one request each.

    Each step ends when as many images were read as the other rules get in it; the last one asks for proof. With
    `each_request` times mean nothing: a request has 5 s for itself.
    """
    rate_per_s = 1.0 / WINDOW_S if each_request else setting.per_minute / 60.0
    *first, (last, _) = setting.course.steps
    stages = [share_stage(share, round(share * part * setting.requests), Requires.IMAGES) for share, part in first]
    stages.append(share_stage(last, 1, Requires.PASS))
    made = scenario(
        f"{setting.fault}-{setting.per_minute}-{setting.course.name}",
        CRITERIA,
        stages,
        FALSE_REVERT,
        FAULTS[setting.fault],
        rate_per_s,
        setting.requests / rate_per_s,
    )
    return replace(made, trend=setting.course.trend, daily_amplitude=setting.course.daily)


def decide(setting: Setting, seed: int, run: int, *, each_request: bool) -> Call:
    """Return how our rollout ends; undecided at the deadline is `undecided`, which takes the candidate away."""
    result = Run(world(setting, each_request=each_request), seed, run).go()
    outcome = result.outcome if result.outcome in {"reverted", "promoted", "held"} else "undecided"
    return Call(outcome, result.candidate_images, result.duration_s)
