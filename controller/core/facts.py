"""Facts about the world, and `observe`: what they mean for a rollout, as at most one event."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from controller.core.policy import OnDeadline, Requires, Role
from controller.core.rollout import Event, Rollout
from controller.core.states import TRANSITIONS, WITHOUT_TRAFFIC, Kind, State
from controller.core.verdict import Assessment


class Phase(StrEnum):
    """How a serving application is doing."""

    ABSENT = "absent"
    DEPLOYING = "deploying"
    READY = "ready"
    UNHEALTHY = "unhealthy"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for."""

    kind: Kind
    actor: str
    reason: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of something that was tried on the candidate: `problem` is None when it went well."""

    problem: str | None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything `observe` may look at.

    `now_s` is the database's clock. `probe` is the first image drawn by the deployed candidate, `bench` the offline
    gate's result; both None until done. `switched` says that every live gateway applied the current split,
    `settled_s` how long that took, `drained` that no candidate request is under way any more. `seen` counts candidate
    images that users got.
    """

    now_s: float
    phase: Phase = Phase.ABSENT
    phase_message: str = ""
    wish: Wish | None = None
    probe: Check | None = None
    bench: Check | None = None
    assessment: Assessment | None = None
    switched: bool = False
    settled_s: float | None = None
    drained: bool = False
    seen: int = 0


Rule = Callable[[Rollout, Facts], Event | None]


def observe(rollout: Rollout, facts: Facts) -> Event | None:
    """Return the most urgent event that the facts justify and the rollout's state allows, None when there is none.

    The order is the priority: a person's stop, harm, a broken candidate and lost trust come before deadlines, and
    everything that stops comes before anything that goes on.
    """
    for rule in RULES:
        event = rule(rollout, facts)
        if event is not None and (rollout.state, event.kind) in TRANSITIONS:
            return event
    return None


def percent(share: float) -> str:
    """Return a share as people write it: `25 %`."""
    return f"{100 * share:.3g} %"


def exposure(rollout: Rollout) -> str:
    """Return where the rollout stands: `at 25 %`, `in shadow at 10 %`, `while baking`."""
    if rollout.state in {State.PROMOTING, State.BAKING}:
        return "while baking"
    stage = rollout.current_stage
    return f"{'in shadow ' if stage.mode == 'shadow' else ''}at {percent(stage.share)}"


def _stop_wish(_rollout: Rollout, facts: Facts) -> Event | None:
    wish = facts.wish
    if wish is None or wish.kind not in {Kind.ABORT, Kind.UNDO, Kind.SUPERSEDE}:
        return None
    verb = {Kind.ABORT: "aborted", Kind.UNDO: "undone", Kind.SUPERSEDE: "superseded"}[wish.kind]
    return Event(wish.kind, facts.now_s, f"{verb} by {wish.actor}: {wish.reason}", wish.actor, wish.detail)


def _harm(rollout: Rollout, facts: Facts) -> Event | None:
    if facts.assessment is None or facts.assessment.harm is None or facts.assessment.environment is not None:
        return None
    if facts.assessment.untrusted is not None and rollout.state is not State.BAKING:
        return None
    return Event(Kind.HARM, facts.now_s, f"reverted {exposure(rollout)}: {facts.assessment.harm}")


def _broken(rollout: Rollout, facts: Facts) -> Event | None:
    if facts.phase is Phase.FAILED:
        return Event(Kind.BROKEN, facts.now_s, f"the candidate can't be served: {facts.phase_message}")
    if facts.probe is not None and facts.probe.problem is not None and rollout.state in WITHOUT_TRAFFIC:
        return Event(Kind.BROKEN, facts.now_s, f"first image: {facts.probe.problem}", detail=facts.probe.detail)
    if facts.bench is not None and facts.bench.problem is not None and not rollout.gate_overridden:
        return Event(Kind.BENCH_FAILED, facts.now_s, f"offline gate: {facts.bench.problem}", detail=facts.bench.detail)
    if rollout.state is State.PREPARING and facts.now_s - rollout.entered_at_s > rollout.policy.ready_timeout_s:
        limit = rollout.policy.ready_timeout_s
        why = facts.phase_message or facts.phase.value
        return Event(Kind.BROKEN, facts.now_s, f"the candidate was not ready within {limit:.0f} s: {why}")
    return None


def _distrust(rollout: Rollout, facts: Facts) -> Event | None:
    if rollout.state not in {State.OBSERVING, State.AWAITING_APPROVAL}:
        return None
    if facts.phase is Phase.ABSENT:
        return Event(Kind.ENVIRONMENT, facts.now_s, "the candidate's application is gone from the serving platform")
    if facts.assessment is None:
        return None
    if facts.assessment.untrusted is not None:
        return Event(Kind.UNTRUSTED, facts.now_s, f"evidence not trusted: {facts.assessment.untrusted}")
    if facts.assessment.environment is not None:
        return Event(Kind.ENVIRONMENT, facts.now_s, f"environment: {facts.assessment.environment}")
    return None


def _deadline(rollout: Rollout, facts: Facts) -> Event | None:
    age_s = facts.now_s - rollout.created_at_s
    if age_s <= rollout.policy.deadline_s or rollout.state in {
        State.PROMOTING,
        State.BAKING,
        State.REVERTING,
    }:
        return None
    reason = f"undecided after {age_s / 3600:.1f} h, the deadline is {rollout.policy.deadline_s / 3600:.1f} h"
    if rollout.policy.on_deadline is OnDeadline.HOLD and rollout.state not in WITHOUT_TRAFFIC:
        return Event(Kind.PAUSE, facts.now_s, reason)
    return Event(Kind.DEADLINE, facts.now_s, reason)


def _starved(rollout: Rollout, facts: Facts) -> Event | None:
    if rollout.state is not State.OBSERVING:
        return None
    last_s = facts.assessment.last_evidence_s if facts.assessment else None
    silent_s = facts.now_s - max(rollout.entered_at_s, last_s or 0.0)
    if silent_s <= rollout.policy.evidence_timeout_s:
        return None
    hint = "; the assignment is sticky, so users who have voted are none" if rollout.policy.is_sticky else ""
    return Event(Kind.STARVED, facts.now_s, f"no evidence for {silent_s:.0f} s: no verdict on the candidate{hint}")


def _wish(_rollout: Rollout, facts: Facts) -> Event | None:
    wish = facts.wish
    if wish is None or wish.kind in {Kind.ABORT, Kind.UNDO, Kind.SUPERSEDE}:
        return None
    verb = {Kind.PAUSE: "paused", Kind.RESUME: "resumed", Kind.APPROVE: "approved", Kind.PROMOTE: "promoted"}
    return Event(wish.kind, facts.now_s, f"{verb[wish.kind]} by {wish.actor}: {wish.reason}", wish.actor, wish.detail)


def _progress(rollout: Rollout, facts: Facts) -> Event | None:
    match rollout.state:
        case State.PROPOSED:
            return Event(Kind.START, facts.now_s, "deploying the candidate")
        case State.PREPARING:
            return _prepared(facts)
        case State.BENCHING:
            return _benched(rollout, facts)
        case State.OBSERVING:
            return _advanced(rollout, facts)
        case State.PROMOTING:
            return _switched(facts, "the candidate serves as the incumbent")
        case State.BAKING:
            return _baked(rollout, facts)
        case State.REVERTING:
            return _switched(facts, _obituary(rollout, facts)) if facts.drained else None
        case _:
            return None


def _prepared(facts: Facts) -> Event | None:
    if facts.phase is not Phase.READY or facts.probe is None:
        return None
    return Event(Kind.READY, facts.now_s, "the candidate is deployed and drew a sound first image")


def _benched(rollout: Rollout, facts: Facts) -> Event | None:
    if rollout.policy.gate is None:
        return Event(Kind.BENCH_PASSED, facts.now_s, "the policy declares no offline gate")
    if facts.bench is None or (facts.bench.problem is not None and not rollout.gate_overridden):
        return None
    if facts.bench.problem is not None:
        reason = f"the offline gate is overridden by {rollout.proposed_by}; it says: {facts.bench.problem}"
        return Event(Kind.BENCH_PASSED, facts.now_s, reason, detail=facts.bench.detail)
    return Event(Kind.BENCH_PASSED, facts.now_s, "the offline gate passed", detail=facts.bench.detail)


def _advanced(rollout: Rollout, facts: Facts) -> Event | None:
    if facts.assessment is None or any(True for _ in obstacles(rollout, facts.assessment)):
        return None
    images = facts.assessment.images
    if rollout.stage + 1 == len(rollout.policy.stages):
        reason = f"every guardrail is proven within its allowed change ({images} candidate images at the last stage)"
        return Event(Kind.PROMOTE, facts.now_s, reason)
    following = rollout.policy.stages[rollout.stage + 1]
    reason = f"{images} candidate images {exposure(rollout)} without a sign of harm"
    if following.approval:
        return Event(Kind.ASK, facts.now_s, f"{reason}; {percent(following.share)} needs an approval")
    return Event(Kind.ADVANCE, facts.now_s, f"{reason}; going to {percent(following.share)}")


def obstacles(rollout: Rollout, assessment: Assessment) -> Iterator[str]:
    """Yield every reason why an observing rollout does not advance now, the plainest first."""
    stage = rollout.current_stage
    # Right after a step nothing was read of the new stage yet: the images counted are those of the one before.
    images = assessment.images if assessment.stage >= rollout.stage else 0
    if images < stage.min_images:
        yield f"{images} of {stage.min_images} candidate images read at this stage"
    if assessment.elevated:
        yield "harm is suspected (evidence above the square root of what a revert needs)"
    for item, verdict in zip(rollout.policy.criteria, assessment.verdicts, strict=True):
        n = verdict.summary.n_candidate
        if item.role is Role.GUARDRAIL and n < item.min_images:
            yield f"{verdict.title} was read of {n} of {item.min_images} candidate images"
    if not assessment.evident:
        missing = [i.title for i in assessment.verdicts if i.verdict == "no_evidence" and i.role is Role.GUARDRAIL]
        yield f"no evidence yet on {', '.join(missing)}"
    if stage.requires is Requires.PASS and not assessment.safe:
        for item, verdict in zip(rollout.policy.criteria, assessment.verdicts, strict=True):
            # The whole-law test proves nothing, so nobody waits for it.
            if verdict.verdict == "inconclusive" and verdict.role is Role.GUARDRAIL and item.statistic != "law":
                yield verdict.reason


def _switched(facts: Facts, reason: str) -> Event | None:
    return Event(Kind.SWITCHED, facts.now_s, reason) if facts.switched else None


def _obituary(rollout: Rollout, facts: Facts) -> str:
    settled = (
        f"share 0 everywhere after {facts.settled_s:.1f} s" if facts.settled_s is not None else "share 0 everywhere"
    )
    return f"{rollout.reason}; users saw {facts.seen} of its images; {settled}"


def _baked(rollout: Rollout, facts: Facts) -> Event | None:
    if facts.now_s - rollout.entered_at_s < rollout.policy.bake_s:
        return None
    return Event(Kind.BAKED, facts.now_s, f"baked for {rollout.policy.bake_s / 3600:.3g} h without harm")


RULES: tuple[Rule, ...] = (_stop_wish, _harm, _broken, _distrust, _deadline, _starved, _wish, _progress)
