"""A suite, a policy with a gate, and two arms that draw by numbers: what a bench would store, without a bench."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from controller.core.policy import Budget, Criterion, Gate, OnDeadline, Policy
from controller.core.shot import Score, ShotResult
from controller.core.spec import Digest
from controller.core.suite import Category, Expectation, Prompt, Suite, Thing
from controller.gate.judge import GateAssessment, assess, fold, start
from controller.gate.plan import Plan, Shot, ShotPhase, hash_of, plan
from controller.stats.tally import Arm

SEEDS = (1, 2, 3)


def suite(text: int = 39, things: int = 18) -> Suite:
    """Return a suite with so many prompts that expect text, and so many that expect things."""
    words = [
        Prompt(f"word-{n}", Category.TYPOGRAPHY, f'the word "W{n}"', SEEDS, Expectation(text=f"W{n}"))
        for n in range(text)
    ]
    dots = [
        Prompt(f"dots-{n}", Category.SMALL_OBJECTS, f"{n} dots", SEEDS, Expectation(things=(Thing(count=n),)))
        for n in range(things)
    ]
    return Suite("tiny", 1, "a suite", (*words, *dots), {"mark": Digest("a" * 64)})


def gated(*criteria: Criterion, min_repeats: int = 1, max_repeats: int = 6, **changes: object) -> Policy:
    """Return a policy whose gate judges these criteria; `changes` are to the gate."""
    gate = Gate("tiny", "", min_repeats, max_repeats, (1,), None, criteria)
    return Policy(
        name="careful",
        budget=Budget(false_revert=0.01, false_promote=0.1),
        stages=(),
        criteria=criteria,
        deadline_s=3600.0,
        on_deadline=OnDeadline.REVERT,
        bake_s=0.0,
        holdback=0.02,
        ready_timeout_s=60.0,
        evidence_timeout_s=60.0,
        max_invalid_share=0.05,
        gate=replace(gate, **changes),
    )


def latency(**values: object) -> Criterion:
    """Return a criterion on the median latency unless `values` say otherwise."""
    return Criterion(**{"metric": "latency_s", "statistic": "p50", **values})


def rate(metric: str = "failure", **values: object) -> Criterion:
    """Return a criterion on a rate."""
    return Criterion(metric, "rate", **values)


def score(metric: str, **values: object) -> Criterion:
    """Return a criterion on the mean of a score."""
    return Criterion(metric, "mean", **values)


@dataclass(frozen=True)
class Painter:
    """One arm: median times in seconds with log-normal noise and stalls, shares of failures, and how good it is.

    `letters`: chance of each of four letters to be right; `absent`: metrics whose scorer is down.
    """

    latency_s: float = 0.25
    noise: float = 0.1
    stalls: float = 0.01
    failures: float = 0.0
    refusals: float = 0.0
    letters: float = 0.99
    memory_gib: float = 1.0
    scores: Mapping[str, float] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()

    def draw(self, shot: Shot, rng: np.random.Generator, run: int) -> ShotResult:
        if rng.random() < self.failures:
            return ShotResult(fault="out_of_memory", message="the device ran out of memory")
        if rng.random() < self.refusals:
            return ShotResult(fault="refused", latency_s=0.01)
        time_s = self.latency_s * math.exp(self.noise * rng.standard_normal())
        if rng.random() < self.stalls:
            time_s *= rng.uniform(2.0, 6.0)
        # The model, the prompt and the seed make the image, so equal painters draw equal ones.
        image = np.random.default_rng([run, hash_of("image", f"{self.letters} {shot.prompt_id} {shot.seed}")])
        text = float(image.binomial(4, self.letters)) / 4
        values = {
            "text_accuracy": text,
            "words": float(text == 1),
            "objects": float(image.random() < 0.97),
            "soundness": 1.0,
            **self.scores,
        }
        if shot.spread:
            values["stability"] = 0.8
        if shot.partner:
            values["likeness" if shot.phase is ShotPhase.PAIR else "reproducibility"] = 0.97
        return ShotResult(
            image=Digest("b" * 64),
            latency_s=time_s,
            queue_s=0.001,
            service_s=time_s - 0.001,
            compute_s=time_s,
            cost_usd=time_s * 0.04 / 3600,
            memory_gib=self.memory_gib,
            memory_source="process_peak",
            steps=16,
            scores={
                name: Score(None, "scorer_down") if name in self.absent else Score(value)
                for name, value in values.items()
            },
        )


def bench(
    policy: Policy, candidate: Painter, incumbent: Painter | None = None, *, seed: int, of: Suite | None = None
) -> tuple[GateAssessment, Plan, dict[str, ShotResult]]:
    """Draw and judge in the order of the plan until nothing more is needed, as the runner does."""
    painters = {Arm.INCUMBENT: incumbent or Painter(), Arm.CANDIDATE: candidate}
    drawn, done, rng = plan(of or suite(), policy, "preview"), {}, np.random.default_rng(seed)
    judge = start(drawn)
    for shot in drawn.shots():
        done[shot.key] = painters[shot.arm].draw(shot, rng, seed)
        judge = fold(judge, shot, done[shot.key])
        if shot.phase is not ShotPhase.WARM_UP and judge.waiting is None and assess(judge).stop:
            break
    return assess(judge), drawn, done
