"""The judge of a bench: a pure fold of shots in the order of the plan, and what the evidence says so far."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from controller.core.shot import ShotResult
from controller.core.verdict import CriterionVerdict, Verdict
from controller.gate.plan import Plan, Shot


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
class GateJudge:
    """The state of the fold."""

    plan: Plan


def start(plan: Plan) -> GateJudge:
    """Return a judge that has seen nothing."""
    return GateJudge(plan)


def fold(judge: GateJudge, shot: Shot, result: ShotResult) -> GateJudge:
    """Return the judge after a shot of `Plan.shots()`, in that order, each once; warm-up and load change nothing."""
    raise NotImplementedError


def assess(judge: GateJudge) -> GateAssessment:
    """Return what the evidence folded so far says."""
    raise NotImplementedError
