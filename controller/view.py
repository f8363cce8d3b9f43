"""What people see of a rollout: plain JSON values, the same for the terminal, the API and the audit."""

import math
from typing import Any

from controller.core.facts import obstacles
from controller.core.judge import LOG_SAMPLE_RATIO_NEEDED
from controller.core.policy import Criterion, Mode
from controller.core.rollout import Rollout
from controller.core.states import State
from controller.core.verdict import Assessment, CriterionVerdict, change_text, value_text
from controller.stats.tally import Arm, WindowTally


def rollout_view(
    rollout: Rollout,
    assessment: Assessment | None,
    totals: WindowTally,
    settled_s: float | None,
    current: WindowTally | None = None,
) -> dict[str, Any]:
    """Return everything to show of one rollout; `totals` are its tallies up to now, decided or not.

    `settled_s` is how long the gateways took to apply the current split, None while some have not; `current` are the
    tallies of the last split that had a candidate, with the arms of the split.
    """
    n_candidate, n_incumbent = totals.assigned(Arm.CANDIDATE), totals.assigned(Arm.INCUMBENT)
    observed = _observed(rollout, current or WindowTally())
    n_observed = sum(observed.values())
    return {
        **rollout_row(rollout),
        "candidate": _model(rollout, "candidate"),
        "incumbent": _model(rollout, "incumbent"),
        "policy": {
            "name": rollout.policy.name,
            "digest": rollout.policy.digest,
            "assignment": rollout.policy.assignment.value,
        },
        "tradeoffs": dict(rollout.tradeoffs),
        "overrides": list(rollout.overrides),
        "stages": [_stage(rollout, index) for index in range(len(rollout.policy.stages))],
        "share_wanted": share_wanted(rollout),
        "share_observed": observed["candidate"] / n_observed if n_observed else None,
        "observed": observed,
        "requests": {"candidate": n_candidate, "incumbent": n_incumbent},
        "seen": seen(totals),
        "settled_s": settled_s,
        "evidence": _evidence(assessment),
        "criteria": _criteria(rollout, assessment),
        "waiting": waiting(rollout, assessment),
    }


def _observed(rollout: Rollout, current: WindowTally) -> dict[str, int]:
    """Return the requests of each arm under the current split: shares of several stages say nothing together."""
    flipped = bool(rollout.epochs) and rollout.epochs[-1].flipped
    arms = current.swapped() if flipped else current
    return {"candidate": arms.assigned(Arm.CANDIDATE), "incumbent": arms.assigned(Arm.INCUMBENT)}


def rollout_row(rollout: Rollout) -> dict[str, Any]:
    """Return one line of a list of rollouts."""
    return {
        "id": rollout.id,
        "lane": rollout.lane,
        "name": rollout.name,
        "owner": rollout.owner,
        "proposed_by": rollout.proposed_by,
        "state": rollout.state.value,
        "stage": rollout.stage,
        "open": rollout.open,
        "created_at_s": rollout.created_at_s,
        "entered_at_s": rollout.entered_at_s,
        "reason": rollout.reason,
    }


def share_wanted(rollout: Rollout) -> float:
    """Return the share of requests that the candidate should get now."""
    match rollout.state:
        case State.OBSERVING | State.AWAITING_APPROVAL:
            return rollout.current_stage.share
        case State.PROMOTING | State.BAKING:
            return 1 - rollout.policy.holdback
        case State.PROMOTED:
            return 1.0
        case _:
            return 0.0


def seen(totals: WindowTally) -> int:
    """Return how many candidate answers users got: resolved, not failed (a failure was answered by the incumbent).

    Mirrored answers are thrown away, so `totals` must leave shadow epochs out.
    """
    return sum(tally.answered for tally in totals.arms.get(Arm.CANDIDATE, {}).values())


def waiting(rollout: Rollout, assessment: Assessment | None) -> str | None:
    """Return one line saying why the rollout is not going on, None when it is over or only time is missing."""
    match rollout.state:
        case State.OBSERVING if assessment is not None:
            reasons = list(obstacles(rollout, assessment))
            return (
                f"not advancing: {reasons[0]}" + (f" (and {len(reasons) - 1} more)" if reasons[1:] else "")
                if reasons
                else None
            )
        case State.OBSERVING:
            return "not advancing: no evidence read yet"
        case State.AWAITING_APPROVAL:
            following = rollout.policy.stages[rollout.stage + 1]
            return f"not advancing: {100 * following.share:.3g} % needs an approval"
        case State.HELD:
            return f"held: {rollout.reason}"
        case State.PREPARING:
            return "deploying and warming up the candidate"
        case State.BENCHING:
            return "running the offline gate"
        case State.PROMOTING | State.REVERTING:
            return "waiting until every gateway has applied the split"
        case State.BAKING:
            return f"baking for {rollout.policy.bake_s:.0f} s"
        case _:
            return None


def _model(rollout: Rollout, arm: str) -> dict[str, Any]:
    spec = rollout.candidate if arm == "candidate" else rollout.incumbent
    app = rollout.candidate_app if arm == "candidate" else rollout.incumbent_app
    return {"digest": spec.digest, "app": app, "spec": spec.to_json()}


def _stage(rollout: Rollout, index: int) -> dict[str, Any]:
    stage = rollout.policy.stages[index]
    label = f"{100 * stage.share:.3g} %"
    return {
        "label": f"shadow {label}" if stage.mode is Mode.SHADOW else label,
        "share": stage.share,
        "mode": stage.mode.value,
        "min_images": stage.min_images,
        "approval": stage.approval,
        "current": index == rollout.stage and rollout.state in {State.OBSERVING, State.AWAITING_APPROVAL, State.HELD},
        "passed": index < rollout.stage or rollout.state in {State.PROMOTING, State.BAKING, State.PROMOTED},
    }


def _evidence(assessment: Assessment | None) -> dict[str, Any]:
    if assessment is None:
        nothing = {"untrusted": None, "environment": None, "sample_ratio": None}
        return {"harm": 0.0, "needed": None, "images": 0, **nothing}
    return {
        "harm": _finite(assessment.log_harm),
        "needed": math.exp(assessment.log_needed),
        "images": assessment.images,
        "untrusted": assessment.untrusted,
        "environment": assessment.environment,
        "sample_ratio": {
            "evidence": _finite(assessment.log_sample_ratio),
            "needed": math.exp(LOG_SAMPLE_RATIO_NEEDED),
        },
    }


def _finite(log_e: float) -> float:
    return math.exp(min(log_e, 300.0))


def _criteria(rollout: Rollout, assessment: Assessment | None) -> list[dict[str, Any]]:
    if assessment is None:
        return []
    return [
        _criterion(item, verdict) for item, verdict in zip(rollout.policy.criteria, assessment.verdicts, strict=True)
    ]


def _criterion(item: Criterion, verdict: CriterionVerdict) -> dict[str, Any]:
    summary = verdict.summary
    return {
        "title": verdict.title,
        "role": verdict.role.value,
        "allowed": verdict.allowed,
        "incumbent": value_text(item, summary.incumbent),
        "candidate": value_text(item, summary.candidate),
        "change": change_text(item, summary),
        "bounds": {"change": summary.change, "low": summary.change_low, "high": summary.change_high},
        "n_incumbent": summary.n_incumbent,
        "n_candidate": summary.n_candidate,
        "log10_harm": summary.log_harm / math.log(10),
        "log10_safety": summary.log_safety / math.log(10),
        "verdict": verdict.verdict.value,
        "reason": verdict.reason,
    }
