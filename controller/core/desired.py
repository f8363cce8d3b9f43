"""`desired`: what the world should look like, derived from the values alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.core.bench import Bench
from controller.core.lane import Lane
from controller.core.policy import Mode
from controller.core.rollout import Rollout
from controller.core.spec import ModelSpec, app_name
from controller.core.split import Split
from controller.core.states import State


@dataclass(frozen=True, slots=True)
class Wanted:
    """The applications that should run (name -> spec) and how the lane should be routed (epoch not yet given)."""

    apps: Mapping[str, ModelSpec]
    split: Split


def desired(lane: Lane, rollout: Rollout | None) -> Wanted:
    """Return the wanted world of one lane; unknown or finished states mean: the lane's incumbent, alone."""
    if rollout is None or not rollout.open:
        incumbent = app_name(lane.name, lane.incumbent.digest)
        return Wanted({incumbent: lane.incumbent}, Split(lane=lane.name, epoch=0, incumbent=incumbent))
    apps = {rollout.incumbent_app: rollout.incumbent}
    if rollout.state is not State.PROPOSED:
        apps[rollout.candidate_app] = rollout.candidate
    if rollout.state is State.BENCHING and rollout.policy.gate is not None:
        bench = Bench.of(rollout, lane)
        apps |= {bench.apps[arm]: spec for arm, spec in bench.specs.items()}
    return Wanted(apps, _split(rollout))


def _split(rollout: Rollout) -> Split:
    match rollout.state:
        case State.OBSERVING | State.AWAITING_APPROVAL:
            stage = rollout.current_stage
            return _with_candidate(rollout, rollout.candidate_app, stage.share, stage.mode)
        case State.PROMOTING | State.BAKING:
            return _flipped(rollout)
        case _:
            return Split(lane=rollout.lane, epoch=0, incumbent=rollout.incumbent_app)


def _with_candidate(rollout: Rollout, candidate: str, share: float, mode: Mode) -> Split:
    return Split(
        lane=rollout.lane,
        epoch=0,
        incumbent=rollout.incumbent_app,
        candidate=candidate,
        share=share,
        mode=mode,
        salt=rollout.salt,
        rollout=rollout.id,
        # Nobody sees a mirrored answer, so there is nothing to stick to, and no vote is spent on it.
        sticky=mode is Mode.SHARE and rollout.policy.is_sticky,
    )


def _flipped(rollout: Rollout) -> Split:
    """The new model is the incumbent; the old one keeps a small share so that the tests still have two arms."""
    holdback = rollout.policy.holdback
    return Split(
        lane=rollout.lane,
        epoch=0,
        incumbent=rollout.candidate_app,
        candidate=rollout.incumbent_app if holdback > 0 else None,
        share=holdback,
        salt=rollout.salt,
        rollout=rollout.id,
        flipped=True,
        sticky=rollout.policy.is_sticky,
    )
