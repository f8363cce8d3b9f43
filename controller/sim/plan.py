"""What a policy can find, how long it takes and what it costs, before anything starts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from controller.core import judge as core
from controller.core.policy import Criterion, Mode, Policy, Role, Stage
from controller.core.verdict import allowed_text
from controller.sim.growth import Growth, Law, Pace, changed, growth, is_tested, law_of, log_harm_needed
from controller.sim.passage import RUNS, passages
from controller.stats.bins import Axis, value_of
from controller.stats.columns import Floats
from controller.stats.criterion import age_of
from controller.stats.setting import CriterionSetting, Statistic
from controller.stats.state import ProcessState
from controller.stats.tally import WINDOW_S, Arm, WindowTally, add_cells

IMAGES = (10, 20, 50, 200, 1_000, 5_000)
RISK_OF_SILENCE = 0.05
REGRESSIONS = (1.25, 1.5, 3.5)
METHOD = (
    "from the tests' own factors on the incumbent's outcomes, no bound and no efficiency factor: changes are found "
    "when mean growth reaches the threshold, times to a pass are drawn"
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests a second, and how many a user sends in a rollout where only the first one counts (1 elsewhere)."""

    rate_per_s: float
    per_user: float = 1.0

    def read_per_s(self, stage: Stage) -> float:
        """Return the candidate images a second that are evidence in a stage; mirrored ones always are."""
        return stage.share * self.rate_per_s / (self.per_user if stage.mode is Mode.SHARE else 1.0)


@dataclass(frozen=True, slots=True)
class _Subject:
    """A criterion with its tuned state and the incumbent's law of its metric."""

    item: Criterion
    state: ProcessState
    law: Law | None

    pace: Pace

    @property
    def setting(self) -> CriterionSetting:
        return self.state.setting

    def growth(self, share: float, candidate: Law, *, harm: bool) -> Growth | None:
        return growth(self.state, share, self.law, candidate, self.pace, harm=harm) if self.law else None


def make_plan(
    policy: Policy,
    timeout_s: float,
    traffic: Traffic,
    history: WindowTally,
    *,
    sigma: float = 0.0,
    prompts: int | None = None,
) -> dict[str, Any]:
    """Return the plan; `history` is what the incumbent did lately, at least some hundred requests.

    `sigma`: the measured noise of the lane's replicas, which blocks are judged against; `prompts`: of the gate's suite.
    """
    judge = core.start(policy, timeout_s, history, interval=False)
    subjects = [
        _Subject(item, state, law_of(history, state.setting), Pace(traffic.rate_per_s / traffic.per_user, sigma))
        for item, state in zip(policy.criteria, judge.processes[:-1], strict=True)
    ]
    promotion = _promotion(policy, traffic, subjects)
    return {
        "policy": policy.name,
        "policy_digest": policy.digest,
        "rate_per_s": traffic.rate_per_s,
        "assignment": policy.assignment.value,
        "requests_per_user": traffic.per_user,
        "history_requests": history.assigned(Arm.INCUMBENT),
        "method": METHOD,
        "criteria": [_criterion(policy, subject) for subject in subjects],
        "decide": promotion,
        "regressions": [_regression(policy, traffic, subjects, factor) for factor in REGRESSIONS],
        "shadow": _shadow(policy, traffic, history),
        "gate": _gate(policy, prompts, history),
        "warnings": [*_warnings(subjects, promotion), *_silences(policy, traffic), *_sticky(policy, traffic)],
    }


def _criterion(policy: Policy, subject: _Subject) -> dict[str, Any]:
    return {
        "title": subject.item.title,
        "role": subject.item.role.value,
        "allowed": allowed_text(subject.item),
        "smallest_change": {str(n): _smallest(policy, subject, n) for n in IMAGES},
        "unit": _unit(subject.setting),
        "note": None if is_tested(subject.setting) else "one image beyond the limit is proof",
    }


def _unit(setting: CriterionSetting) -> str:
    return {Axis.LOG: "ratio", Axis.BINARY: "rate added", Axis.SCORE: "score lost"}[setting.axis]


def _part(policy: Policy, item: Criterion) -> float:
    """Return a criterion's part of the budget; a watch is judged alone, a dry run as if all were guardrails."""
    if item.role is Role.WATCH:
        return 1.0
    beside = {Role.GUARDRAIL, item.role}
    return item.weight / sum(other.weight for other in policy.criteria if other.role in beside)


def _images_to_find(policy: Policy, subject: _Subject, share: float, change: float) -> float:
    if subject.law is None:
        return math.inf
    found = subject.growth(share, changed(subject.law, subject.setting, change), harm=True)
    needed = log_harm_needed(policy.budget.false_revert, _part(policy, subject.item))
    return found.images(needed) if found else math.inf


def _smallest(policy: Policy, subject: _Subject, n: int) -> float | None:
    """Return the smallest change found in n candidate images on average, None when none is."""
    if subject.law is None or not is_tested(subject.setting):
        return None
    share = _stage_of(policy, n).share
    is_log = subject.setting.axis is Axis.LOG
    low, high = (0.0, math.log(100.0)) if is_log else (0.0, 1.0)

    def finds(x: float) -> bool:
        return _images_to_find(policy, subject, share, math.exp(x) if is_log else x) <= n

    if not finds(high):
        return None
    while high - low > 1e-4 * max(high, 1e-3):
        middle = (low + high) / 2
        low, high = (low, middle) if finds(middle) else (middle, high)
    return math.exp(high) if is_log else high


def _stage_of(policy: Policy, image: float) -> Stage:
    """Return the stage in which a candidate image falls when every stage ends as early as it may."""
    passed = 0
    for stage in policy.stages[:-1]:
        passed += stage.min_images
        if image <= passed:
            return stage
    return policy.stages[-1]


def _promotion(policy: Policy, traffic: Traffic, subjects: Sequence[_Subject]) -> dict[str, Any]:
    """Return images and hours until an identical candidate is promoted, and what each criterion takes."""
    least = np.full(RUNS, float(sum(stage.min_images for stage in policy.stages)))
    takes: dict[str, Any] = {}
    for number, subject in enumerate(subjects):
        if subject.item.role is not Role.GUARDRAIL or not is_tested(subject.setting):
            continue
        least = np.maximum(least, subject.item.min_images)
        if subject.item.statistic == Statistic.LAW:
            continue
        reached = _images_to_prove(policy, subject, number)
        takes[subject.item.title] = _spread(reached)
        least = np.maximum(least, reached)
    return {
        "criteria": takes,
        "candidate_images": _spread(least),
        "hours": _spread(np.array([_hours(policy, traffic, images) for images in least.tolist()])),
        "deadline_h": policy.deadline_s / 3600,
    }


def _images_to_prove(policy: Policy, subject: _Subject, number: int) -> Floats:
    """Return the candidate images, of all stages, until safety of an identical candidate, in each run drawn."""
    if subject.law is None:
        return np.full(RUNS, np.inf)
    grown = [subject.growth(stage.share, subject.law, harm=False) for stage in policy.stages]
    legs = [
        (found, float(stage.min_images)) for found, stage in zip(grown, policy.stages, strict=True) if found is not None
    ]
    if len(legs) < len(policy.stages):
        return np.full(RUNS, np.inf)
    return passages(legs, -math.log(policy.budget.false_promote), number)


def _hours(policy: Policy, traffic: Traffic, images: float) -> float:
    """Return the hours until so many candidate images came, when every stage but the last ends as early as it may."""
    passed_s = 0.0
    for stage in policy.stages[:-1]:
        passed_s += stage.min_images / traffic.read_per_s(stage)
        images -= stage.min_images
    return (passed_s + images / traffic.read_per_s(policy.stages[-1])) / 3600


def _spread(values: Floats) -> dict[str, float | None]:
    """Return the mean, where all but one in a hundred end, and their 99th percentile."""
    late = float(np.quantile(values, 0.99, method="higher"))
    kept = values[np.isfinite(values)]
    return {"mean": float(kept.mean()) if math.isfinite(late) else None, "p99": _finite(late)}


def _regression(policy: Policy, traffic: Traffic, subjects: Sequence[_Subject], factor: float) -> dict[str, Any]:
    """Return how many candidate images a slowdown by a factor takes, and how many of them users would see."""
    slow = [s for s in subjects if s.item.metric == "latency_s" and s.item.role is Role.GUARDRAIL and s.law is not None]
    passed = shown = 0.0
    for stage in policy.stages:
        images = min((_images_to_find(policy, item, stage.share, factor) for item in slow), default=math.inf)
        left = max(1.0, images - passed)
        here = left if stage is policy.stages[-1] else min(left, float(stage.min_images))
        passed, shown = passed + here, shown + (here * traffic.per_user if stage.mode is Mode.SHARE else 0.0)
        if images <= passed or stage is policy.stages[-1]:
            late = stage.share * traffic.rate_per_s * (WINDOW_S / 2 + _age_s(slow)) if math.isfinite(images) else 0.0
            shown += late if stage.mode is Mode.SHARE else 0.0
            break
    return {"factor": factor, "candidate_images": _finite(passed), "users_see": _finite(shown)}


def _age_s(subjects: Sequence[_Subject]) -> float:
    return min((age_of(item.setting, item.state.tuning) for item in subjects), default=0.0) + 1.0


def _shadow(policy: Policy, traffic: Traffic, history: WindowTally) -> dict[str, Any]:
    """Return what the mirrored stages take, at the incumbent's cost and time: the candidate's are not known yet."""
    stages = [stage for stage in policy.stages if stage.mode is Mode.SHADOW]
    images = sum(stage.min_images for stage in stages)
    cost = _mean(history, "cost_usd")
    return {
        "images": images,
        "seconds": sum(stage.min_images / traffic.read_per_s(stage) for stage in stages),
        "compute_s": _times(images, _service_s(history)),
        "usd_at_the_incumbents_cost": _times(images, cost),
    }


def _gate(policy: Policy, prompts: int | None, history: WindowTally) -> dict[str, Any] | None:
    """Return what the offline gate takes when it ends after the fewest repeats and after the most, None without one.

    Every repeat draws every prompt on both arms, one image at a time.
    """
    if policy.gate is None:
        return None
    found: dict[str, Any] = {"suite": policy.gate.suite, "prompts": prompts}
    for name, repeats in (("least", policy.gate.min_repeats), ("most", policy.gate.max_repeats)):
        images = None if prompts is None else 2 * prompts * repeats
        found[name] = {
            "images": images,
            "seconds": _times(images, _service_s(history)),
            "usd_at_the_incumbents_cost": _times(images, _mean(history, "cost_usd")),
        }
    return found


def _times(images: int | None, each: float | None) -> float | None:
    return None if images is None or each is None else images * each


def _service_s(history: WindowTally) -> float | None:
    """Return how long a replica works on an image; where that was not tallied, how long a request takes."""
    return _mean(history, "service_s") or _mean(history, "latency_s")


def _mean(history: WindowTally, metric: str) -> float | None:
    cells: Mapping[int, int] = {}
    for tally in history.arms.get(Arm.INCUMBENT, {}).values():
        cells = add_cells(cells, tally.of(metric))
    n = sum(cells.values())
    return sum(count * value_of(Axis.LOG, cell) for cell, count in cells.items()) / n if n else None


def _warnings(subjects: Sequence[_Subject], promotion: Mapping[str, Any]) -> list[str]:
    found = [
        f"{subject.item.title}: the incumbent's record has no {subject.item.metric}; nothing can be said, and a "
        "guardrail without evidence never passes"
        for subject in subjects
        if subject.law is None
    ]
    never = [title for title, takes in promotion["criteria"].items() if takes["mean"] is None]
    found += [f"{title}: an identical candidate never earns a pass on this record; widen the change" for title in never]
    hours, deadline_h = promotion["hours"], promotion["deadline_h"]
    dearest = max(promotion["criteria"].items(), key=lambda entry: entry[1]["p99"] or math.inf, default=(None, None))
    for name, words in (("mean", "half of all"), ("p99", "one in a hundred")):
        if hours[name] is None or hours[name] > deadline_h:
            takes = "for ever" if hours[name] is None else f"{hours[name]:,.1f} h"
            found.append(
                f"the policy can't decide before its deadline of {deadline_h:g} h: {words} identical candidates take "
                f"{takes} at this traffic; {dearest[0]} is the dearest: widen its change, raise the shares or the "
                "deadline"
            )
            break
    return found


def _silences(policy: Policy, traffic: Traffic) -> list[str]:
    """Return the stages in which so few candidate requests come that the evidence timeout would hold the rollout."""
    found = []
    for stage in policy.stages:
        per_s = traffic.read_per_s(stage)
        held = -math.expm1(-stage.min_images * math.exp(-per_s * policy.evidence_timeout_s))
        if held > RISK_OF_SILENCE:
            found.append(
                f"at {100 * stage.share:g} % a candidate image comes every {1 / per_s:,.0f} s on average; with "
                f"evidence_timeout_s {policy.evidence_timeout_s:g} about {100 * held:.0f} % of rollouts are held "
                "there: raise it or the share"
            )
    return found


def _sticky(policy: Policy, traffic: Traffic) -> list[str]:
    if not policy.is_sticky:
        return []
    if traffic.per_user <= 1:
        return ["the assignment is sticky, so only a user's first request is evidence; say --requests-per-user"]
    times = f"{traffic.per_user:g}"
    text = f"the assignment is sticky: one request in {times} is evidence, so shares take {times} times as long"
    return [f"{text} and show users {times} times as many images as with `assignment: request`"]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
