"""The rollout as a value, and `step`: the only function that changes its state."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from controller.core.policy import Mode, Policy, Stage
from controller.core.spec import ModelSpec, app_name
from controller.core.states import TERMINAL, TRANSITIONS, Kind, State

GATE = "gate"
"""What `overrides` calls the offline gate; every other name in it is a rule of lint."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One generation of the lane's split that this rollout caused, so that its tallies can be read back."""

    epoch: int
    stage: int
    share: float
    mode: Mode
    flipped: bool


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, who or what caused it, and why in one sentence."""

    kind: Kind
    at_s: float
    reason: str
    actor: str = "swapgate"
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One attempt to replace a lane's incumbent; times are Unix seconds of the database's clock.

    `stage` indexes the policy's stages. `entered_at_s` is when the state or stage was last entered. `reason` is the
    sentence of the last event. `epochs` lists the splits that this rollout caused, in order. `overrides` names the
    rules that would have refused it and were overridden or waived, `gate` among them for the offline gate.
    """

    id: str
    lane: str
    name: str
    owner: str
    proposed_by: str
    candidate: ModelSpec
    incumbent: ModelSpec
    policy: Policy
    salt: str
    created_at_s: float
    tradeoffs: Mapping[str, Any] = field(default_factory=dict)
    state: State = State.PROPOSED
    stage: int = 0
    version: int = 1
    entered_at_s: float = 0.0
    reason: str = ""
    epochs: tuple[Epoch, ...] = ()
    overrides: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Say whether the rollout still holds its lane."""
        return self.state not in TERMINAL

    @property
    def gate_overridden(self) -> bool:
        """Say whether the candidate goes on whatever the offline gate says; what it says is kept all the same."""
        return GATE in self.overrides

    @property
    def current_stage(self) -> Stage:
        """Return the policy's stage that the rollout is in or returns to."""
        return self.policy.stages[self.stage]

    @property
    def candidate_app(self) -> str:
        """Return the candidate's serving application."""
        return app_name(self.lane, self.candidate.digest)

    @property
    def incumbent_app(self) -> str:
        """Return the serving application of the incumbent that the rollout started from."""
        return app_name(self.lane, self.incumbent.digest)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Rollout":
        """Parse what `to_json` returned."""
        return Rollout(
            **{
                **value,
                "candidate": ModelSpec.from_json(value["candidate"]),
                "incumbent": ModelSpec.from_json(value["incumbent"]),
                "policy": Policy.from_json(value["policy"]),
                "state": State(value["state"]),
                "epochs": tuple(Epoch(**{**epoch, "mode": Mode(epoch["mode"])}) for epoch in value["epochs"]),
                "overrides": tuple(value.get("overrides", ())),
            }
        )


class IllegalTransitionError(Exception):
    """The event is not possible in the rollout's state; nothing was changed."""

    def __init__(self, state: State, kind: Kind) -> None:
        allowed = ", ".join(sorted(k for s, k in TRANSITIONS if s == state)) or "nothing"
        super().__init__(f"{kind} is not possible while {state}; possible: {allowed}")
        self.state = state
        self.kind = kind


def step(rollout: Rollout, event: Event) -> Rollout:
    """Return the rollout after an event; IllegalTransitionError when the table does not know the pair."""
    to_state = TRANSITIONS.get((rollout.state, event.kind))
    if to_state is None:
        raise IllegalTransitionError(rollout.state, event.kind)
    return replace(
        rollout,
        state=to_state,
        stage=rollout.stage + 1 if event.kind in {Kind.ADVANCE, Kind.APPROVE} else rollout.stage,
        version=rollout.version + 1,
        entered_at_s=event.at_s,
        reason=event.reason,
    )
