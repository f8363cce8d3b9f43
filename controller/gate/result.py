"""The result document of a bench: everything that a report shows and that a repetition needs, as plain JSON values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from controller.core.policy import METRICS
from controller.core.shot import ShotResult
from controller.core.spec import ModelSpec
from controller.core.verdict import CriterionVerdict
from controller.gate.judge import GateAssessment, Results, reads, values
from controller.gate.plan import Plan, Shot, ShotPhase
from controller.gate.quantities import arm_of, load_of
from controller.stats.bins import Axis
from controller.stats.tally import Arm

SCORES = tuple(name for name, metric in METRICS.items() if metric.axis is Axis.SCORE)


@dataclass(frozen=True, slots=True)
class About:
    """What surrounds a bench; times in ISO 8601, UTC."""

    id: str
    rollout: str | None
    candidate_name: str
    candidate: ModelSpec
    incumbent: ModelSpec
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    started_at: str
    finished_at: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Both arms' results of a prompt and seed, and the shot that completed them."""

    shot: Shot
    results: Results


def document(about: About, plan: Plan, assessment: GateAssessment, shots: Mapping[str, ShotResult]) -> dict[str, Any]:
    """Return the result; `shots` holds what was drawn, by key, loads included."""
    pairs, again = _pairs(plan, assessment, shots)
    return {
        "schema_version": 1,
        "kind": "bench",
        "id": about.id,
        "rollout": about.rollout,
        "lane": plan.lane,
        "suite": {"name": plan.suite.name, "version": plan.suite.version, "digest": plan.digest},
        "candidate": {
            "name": about.candidate_name,
            "digest": about.candidate.digest,
            "spec": about.candidate.to_json(),
        },
        "incumbent": {"digest": about.incumbent.digest, "spec": about.incumbent.to_json()},
        "gate": plan.gate.to_json(),
        "versions": dict(about.versions),
        "machine": dict(about.machine),
        "started_at": about.started_at,
        "finished_at": about.finished_at,
        "stopped_early": assessment.repeats < plan.gate.max_repeats,
        "repeats": assessment.repeats,
        "verdict": assessment.verdict.value,
        "reason": assessment.reason,
        "criteria": _criteria(plan, assessment),
        "arms": {arm.value: arm_of([pair.results[arm] for pair in pairs]) for arm in Arm},
        "load": load_of(plan.load(), shots),
        "categories": _categories(plan, pairs),
        "pairs": [_pair(plan, pair) for pair in pairs],
        "again": [row for pair in again for row in _again(pair)],
    }


def _pairs(plan: Plan, assessment: GateAssessment, shots: Mapping[str, ShotResult]) -> tuple[list[Pair], list[Pair]]:
    """Return what was judged, in its order: pairs, and drawings with the same seed."""
    found: dict[ShotPhase, list[Pair]] = {ShotPhase.PAIR: [], ShotPhase.AGAIN: []}
    for repeat in range(min(assessment.repeats + 1, plan.gate.max_repeats)):
        drawn = plan.repeat(repeat)
        for first, second in zip(drawn[::2], drawn[1::2], strict=True):
            if first.key not in shots or second.key not in shots:
                break
            results = {first.arm: shots[first.key], second.arm: shots[second.key]}
            found[first.phase].append(Pair(second, {arm: results[arm] for arm in Arm}))
    return found[ShotPhase.PAIR], found[ShotPhase.AGAIN]


def _criteria(plan: Plan, assessment: GateAssessment) -> list[dict[str, Any]]:
    def row(index: int, verdict: CriterionVerdict) -> dict[str, Any]:
        item, summary = plan.gate.criteria[index], verdict.summary
        return {
            "title": verdict.title,
            "metric": item.metric,
            "statistic": item.statistic,
            "role": verdict.role.value,
            "allowed": verdict.allowed,
            "verdict": verdict.verdict.value,
            "reason": verdict.reason,
            "incumbent": summary.incumbent,
            "candidate": summary.candidate,
            "change": summary.change,
            "change_low": summary.change_low,
            "change_high": summary.change_high,
            "log_harm": summary.log_harm,
            "log_safety": summary.log_safety,
            "n": summary.n_candidate,
            "missing": dict(assessment.missing[index]),
        }

    return [row(index, verdict) for index, verdict in enumerate(assessment.verdicts)]


def _categories(plan: Plan, pairs: list[Pair]) -> list[dict[str, Any]]:
    """Return the mean of each score by category, over the pairs in which both arms have one."""
    sums: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for pair in pairs:
        for metric in SCORES:
            if not reads(metric, plan, pair.shot):
                continue
            match values(metric, pair.results):
                case {Arm.INCUMBENT: float(incumbent), Arm.CANDIDATE: float(candidate)}:
                    category = plan.prompts[pair.shot.prompt_id].category
                    sums.setdefault((category.value, metric), []).append((incumbent, candidate))
    return [
        {
            "category": category,
            "metric": metric,
            "incumbent": sum(incumbent for incumbent, _ in seen) / len(seen),
            "candidate": sum(candidate for _, candidate in seen) / len(seen),
            "n": len(seen),
        }
        for (category, metric), seen in sorted(sums.items())
    ]


def _pair(plan: Plan, pair: Pair) -> dict[str, Any]:
    prompt = plan.prompts[pair.shot.prompt_id]
    incumbent, candidate = pair.results[Arm.INCUMBENT], pair.results[Arm.CANDIDATE]
    if "likeness" in incumbent.scores:
        # Kept with whichever image came second; it says something about the candidate.
        likeness = {"likeness": incumbent.scores["likeness"]}
        rest = {name: score for name, score in incumbent.scores.items() if name != "likeness"}
        incumbent = replace(incumbent, scores=rest)
        candidate = replace(candidate, scores={**candidate.scores, **likeness})
    return {
        "prompt_id": prompt.id,
        "category": prompt.category.value,
        "prompt": prompt.prompt,
        "seed": pair.shot.seed,
        "repeat": pair.shot.repeat,
        "expect": asdict(prompt.expect),
        "incumbent": incumbent.to_json(),
        "candidate": candidate.to_json(),
    }


def _again(pair: Pair) -> list[dict[str, Any]]:
    rows = []
    for arm, value in values("reproducibility", pair.results).items():
        score = pair.results[arm].scores.get("reproducibility")
        detail = {} if score is None else dict(score.detail)
        rows.append(
            {
                "prompt_id": pair.shot.prompt_id,
                "seed": pair.shot.seed,
                "arm": arm.value,
                "value": None if isinstance(value, str) else value,
                "detail": {**detail, "reason": value} if isinstance(value, str) else detail,
            }
        )
    return rows
