"""Values that contract and store tests start from."""

from dataclasses import replace

from controller.core.lane import Lane
from controller.core.policy import Mode
from controller.core.rollout import Rollout
from controller.core.spec import app_name, digest_of
from controller.core.split import Split
from controller.core.states import State
from controller.ports import AuditDraft, Change, Command, EvidenceRow
from controller.service import Lint
from controller.stats.tally import Arm, ClassTally, WindowTally
from tests.unit.core.values import LANE, ROLLOUT, spec

__all__ = ["LANE", "ROLLOUT", "spec"]


LINTED: Lint = lambda *_: ()  # noqa: E731
"""Of a proposal that needs no more linting."""
ADD_LANE = AuditDraft(actor="ana", action="add_lane", reason="a new endpoint")
PROPOSE = AuditDraft(actor="ana", action="propose", reason="half the cost", to_state="proposed", detail={"x": 0.1})


def first_split(lane: Lane = LANE) -> Split:
    """Return the split that a lane starts with."""
    return Split(lane=lane.name, epoch=1, incumbent=app_name(lane.name, lane.incumbent.digest))


def candidate_split(epoch: int, rollout: Rollout, share: float = 0.25) -> Split:
    """Return a split that sends a share to a rollout's candidate."""
    return Split(
        lane=rollout.lane,
        epoch=epoch,
        incumbent=rollout.incumbent_app,
        candidate=rollout.candidate_app,
        share=share,
        mode=Mode.SHARE,
        salt=rollout.salt,
        rollout=rollout.id,
    )


def moved(rollout: Rollout, state: State = State.OBSERVING) -> Rollout:
    """Return a rollout's next version in another state."""
    return replace(rollout, state=state, version=rollout.version + 1)


def step(rollout: Rollout, **changes: object) -> Change:
    """Return the change that moves a rollout on, with its audit entry."""
    after = moved(rollout)
    draft = AuditDraft(
        actor="swapgate",
        action="step",
        reason="ready",
        lane=rollout.lane,
        rollout=rollout.id,
        from_state=rollout.state,
        to_state=after.state,
        detail={"share": 0.25, "tiny": 1e-7, "big": 1e22, "words": ["a", "ü"]},
    )
    return replace(Change(rollout=after, audit=(draft,)), **changes)  # type: ignore[arg-type]


def evidence(rollout: Rollout, seq: int) -> EvidenceRow:
    """Return a row of evidence with numbers that a careless store would change."""
    payload = {"previous": None, "log_harm": 0.1 + 0.2, "tiny": 1e-7, "big": 1e22, "units": [seq]}
    return EvidenceRow(rollout.id, seq, payload, digest_of(payload))


def tally(assigned: int) -> WindowTally:
    """Return a window in which every request took about a second."""
    one = ClassTally(assigned=assigned, cells={"latency_s": {0: assigned}}, missing={"cost_usd": {"no price": 1}})
    return WindowTally({Arm.CANDIDATE: {"small": one}})


def wish(rollout: Rollout, kind: str = "abort") -> Command:
    """Return a person's wish about a rollout."""
    return Command(0, rollout.id, kind, "ben", "it looks odd", {"share": 0.5})
