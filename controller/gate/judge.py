"""The judge of a bench: a pure fold of shots in the order of the plan, and what the evidence says so far.

Every criterion is an e-process over pairs (`stats.pair_criterion`), so the bench may be judged after each of them:

- A pair is one prompt and seed on both arms. A metric that says nothing about a prompt does not read its pairs.
- `likeness` is one number a pair and has an absolute limit only. `stability` is one number an arm and prompt for each
  block of STABILITY_REPEATS repeats, and the two arms' numbers are a pair. `reproducibility` compares a drawing with a
  second one of the same seed, once on each arm, and these two numbers are a pair.
- What is missing is counted with its reason and never stands for a number. A guardrail of which more than the policy's
  `max_invalid_share` is missing has no evidence: what is left might be the better half. Drawings that failed, or were
  refused, are left out of that count where a guardrail on failures, or refusals, judges them.
- A fail spends the policy's false-revert budget, shared by all guardrails as on live traffic (`stats.budget`). It is
  called at the end of the repeat, so that the report shows every prompt and names every criterion that is breached; at
  once when the candidate fails to draw, because each further drawing may cost a timeout.
- A pass needs every guardrail's own proof at `false_promote` and `min_repeats` whole repeats.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from controller.core.judge import setting_of
from controller.core.policy import Criterion, Role
from controller.core.shot import ShotResult
from controller.core.verdict import CriterionVerdict, Verdict
from controller.gate.applies import applies
from controller.gate.measured import NO_IMAGE, NOT_MEASURED, REFUSED, measured
from controller.gate.plan import Plan, Shot, ShotPhase
from controller.gate.verdicts import Evidence, Weighed, weigh
from controller.stats import pair_criterion
from controller.stats.pair_criterion import PairState
from controller.stats.pair_interval import change_bounds
from controller.stats.tally import Arm

Results = Mapping[Arm, ShotResult]
Bounds = Callable[[PairState], tuple[float | None, float | None]]


def _unbounded(_state: PairState) -> tuple[None, None]:
    return None, None


@dataclass(frozen=True, slots=True)
class GateAssessment:
    """The whole evidence of a bench at one moment.

    `verdicts` and `missing` (reason -> images) are in the order of the gate's criteria. `log_harm`, `log_needed`: the
    weighted average of the guardrails' evidence of harm, and what a fail takes. `pairs`, `repeats`: folded so far,
    the latter whole ones. `stop`: nothing more needs to be drawn.
    """

    verdict: Verdict
    reason: str
    verdicts: tuple[CriterionVerdict, ...]
    missing: tuple[Mapping[str, int], ...]
    log_harm: float
    log_needed: float
    pairs: int
    repeats: int
    stop: bool

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Process:
    """One criterion: its evidence, the pairs it should have read, and images without a value by arm and reason."""

    item: Criterion
    state: PairState
    due: int = 0
    missing: Mapping[Arm, Mapping[str, int]] = field(default_factory=lambda: {arm: {} for arm in Arm})

    @property
    def reasons(self) -> dict[str, int]:
        """Return images without a value by reason, of both arms."""
        names = sorted({name for reasons in self.missing.values() for name in reasons})
        return {name: sum(reasons.get(name, 0) for reasons in self.missing.values()) for name in names}


@dataclass(frozen=True, slots=True)
class GateJudge:
    """The state of the fold; `waiting`: a shot whose other arm is not folded yet; `left`: shots left of the repeat."""

    plan: Plan
    processes: tuple[Process, ...]
    left: int
    waiting: tuple[Shot, ShotResult] | None = None
    pairs: int = 0
    repeats: int = 0


def start(plan: Plan) -> GateJudge:
    """Return a judge that has seen nothing."""
    processes = tuple(Process(item, pair_criterion.start(setting_of(item, 1.0))) for item in plan.gate.criteria)
    return GateJudge(plan, processes, plan.size(0))


def fold(judge: GateJudge, shot: Shot, result: ShotResult) -> GateJudge:
    """Return the judge after a shot of `Plan.shots()`, in that order, each once; warm-up and load change nothing.

    Raises ValueError for a shot that does not follow.
    """
    if shot.phase not in {ShotPhase.PAIR, ShotPhase.AGAIN}:
        return judge
    if shot.repeat != judge.repeats:
        raise ValueError(f"{shot.key} is not of repeat {judge.repeats}, which is being folded")
    judge = _counted(judge, shot)
    if judge.waiting is None:
        return replace(judge, waiting=(shot, result))
    first, first_result = judge.waiting
    if (first.phase, first.prompt_id) != (shot.phase, shot.prompt_id) or first.arm is shot.arm:
        raise ValueError(f"{shot.key} does not make a pair with {first.key}")
    results = {first.arm: first_result, shot.arm: result}
    return replace(
        judge,
        processes=tuple(
            _read(process, results) if reads(process.item.metric, judge.plan, shot) else process
            for process in judge.processes
        ),
        waiting=None,
        pairs=judge.pairs + (shot.phase is ShotPhase.PAIR),
    )


def reads(metric: str, plan: Plan, shot: Shot) -> bool:
    """Say whether a metric has a value of its own in a shot, were nothing missing."""
    if shot.phase is not (ShotPhase.AGAIN if metric == "reproducibility" else ShotPhase.PAIR):
        return False
    if metric == "stability" and not shot.spread:
        return False
    return applies(metric, plan.prompts[shot.prompt_id])


def values(metric: str, results: Results) -> dict[Arm, float | str]:
    """Return what a pair says about a metric: per arm a value, or the reason why there is none."""
    if metric != "likeness":
        return {arm: measured(metric, result) for arm, result in results.items()}
    # One number a pair, kept with whichever image came second. The incumbent is like itself.
    both = [measured(metric, result) for result in results.values()]
    found = [value for value in both if not isinstance(value, str)]
    if found:
        return {Arm.INCUMBENT: 1.0, Arm.CANDIDATE: found[0]}
    reason = next((value for value in both if value != NOT_MEASURED), NOT_MEASURED)
    return {Arm.INCUMBENT: 1.0, Arm.CANDIDATE: reason}


def conclude(judge: GateJudge) -> GateAssessment:
    """Return what all the evidence says, with the bounds of every change, which take as long as folding 24 times."""
    return assess(judge, bounds=change_bounds)


def assess(judge: GateJudge, bounds: Bounds = _unbounded) -> GateAssessment:
    """Return what the evidence folded so far says; `bounds` gives the lowest and highest change of a criterion."""
    policy, gate = judge.plan.policy, judge.plan.gate
    weighed = weigh(policy.budget, [_evidence(judge, process, bounds) for process in judge.processes])
    verdict = weighed.verdict
    if verdict is Verdict.PASS and judge.repeats < gate.min_repeats:
        verdict = Verdict.INCONCLUSIVE
    return GateAssessment(
        verdict=verdict,
        reason=weighed.reason(verdict, judge.pairs, judge.repeats),
        verdicts=weighed.verdicts,
        missing=tuple(process.reasons for process in judge.processes),
        log_harm=weighed.log_harm,
        log_needed=-math.log(policy.budget.false_revert),
        pairs=judge.pairs,
        repeats=judge.repeats,
        stop=verdict is Verdict.PASS or judge.repeats == gate.max_repeats or _is_over(judge, weighed),
    )


def _is_over(judge: GateJudge, weighed: Weighed) -> bool:
    """Say whether a fail ends the bench now."""
    between_repeats = judge.repeats > 0 and judge.left == judge.plan.size(judge.repeats)
    return weighed.verdict is Verdict.FAIL and (between_repeats or weighed.draws_nothing)


def _counted(judge: GateJudge, shot: Shot) -> GateJudge:
    """Count a shot, and the repeat when it is the last one."""
    if judge.left > 1:
        return replace(judge, left=judge.left - 1)
    return replace(judge, repeats=judge.repeats + 1, left=judge.plan.size(shot.repeat + 1))


def _read(process: Process, results: Results) -> Process:
    missing = {arm: dict(reasons) for arm, reasons in process.missing.items()}
    known: dict[Arm, float | None] = {}
    for arm, value in values(process.item.metric, results).items():
        if isinstance(value, str):
            missing[arm][value] = missing[arm].get(value, 0) + 1
        known[arm] = None if isinstance(value, str) else value
    state = pair_criterion.fold(process.state, known[Arm.INCUMBENT], known[Arm.CANDIDATE])
    return Process(process.item, state, process.due + 1, missing)


def _evidence(judge: GateJudge, process: Process, bounds: Bounds) -> Evidence:
    n = {arm: sum(reasons.values()) for arm, reasons in process.missing.items()}
    low, high = bounds(process.state)
    summary = replace(
        pair_criterion.summary(process.state),
        change_low=low,
        change_high=high,
        missing_candidate=n[Arm.CANDIDATE],
        missing_incumbent=n[Arm.INCUMBENT],
    )
    excused = _judged_elsewhere(judge)
    worst = max(n[arm] - sum(process.missing[arm].get(reason, 0) for reason in excused) for arm in Arm)
    allowed = judge.plan.policy.max_invalid_share
    if worst <= allowed * process.due:
        return Evidence(process.item, summary)
    why = ", ".join(f"{reason} {count}" for reason, count in process.reasons.items())
    lack = (
        f"no evidence: {worst} of {process.due} images of an arm are without a value (both arms: {why}), "
        f"allowed {100 * allowed:.3g} %"
    )
    return Evidence(process.item, summary, lack)


def _judged_elsewhere(judge: GateJudge) -> set[str]:
    """Return the reasons for missing values that a guardrail of their own judges."""
    judged = {item.metric for item in judge.plan.gate.criteria if item.role is Role.GUARDRAIL}
    return {reason for metric, reason in (("failure", NO_IMAGE), ("refusal", REFUSED)) if metric in judged}
