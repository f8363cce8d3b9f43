"""What a gateway needs to know about a lane: who serves, with which probability, and in which generation."""

from dataclasses import dataclass, replace

from controller.core.policy import Mode


@dataclass(frozen=True, slots=True)
class Split:
    """The routing of one lane.

    `epoch` grows by one with every change and is the fencing token that gateways check. `incumbent` and `candidate`
    are application names. `share` in [0, 1] is the probability that a request is assigned to `candidate`. `flipped`
    says that the arms are exchanged with respect to the rollout: while baking, the new model is the split's
    incumbent and the old one, held back on a small share, its candidate. `sticky` says that the coin is tossed for
    users, not for requests.
    """

    lane: str
    epoch: int
    incumbent: str
    candidate: str | None = None
    share: float = 0.0
    mode: Mode = Mode.SHARE
    salt: str = ""
    rollout: str | None = None
    flipped: bool = False
    sticky: bool = False

    def same_routing(self, other: "Split") -> bool:
        """Say whether two splits route alike, whatever their epoch."""
        return replace(self, epoch=0) == replace(other, epoch=0)
