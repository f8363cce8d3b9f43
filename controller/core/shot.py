"""What came of one drawing of a bench, stored once under the key of its shot."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from controller.core.spec import Digest


@dataclass(frozen=True, slots=True)
class Score:
    """A number in [0, 1], or None with the reason why there is none (`not_applicable`, `scorer_down`, ...)."""

    value: float | None
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShotResult:
    """One drawing; what could not be measured is None, never 0.

    `image`: SHA-256 (hex) of the PNG. `latency_s`: the client's wall clock from asking to the whole image, `queue_s`
    and `service_s` its parts, `compute_s` what is paid for. `memory_source` says what `memory_gib` is the peak of.
    `fault`: why there is no image. `scores`: by metric; what is absent was not asked.
    """

    image: Digest | None = None
    latency_s: float | None = None
    queue_s: float | None = None
    service_s: float | None = None
    compute_s: float | None = None
    cost_usd: float | None = None
    memory_gib: float | None = None
    memory_source: str = ""
    steps: int | None = None
    fault: str | None = None
    message: str = ""
    scores: Mapping[str, Score] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "ShotResult":
        """Parse what `to_json` returned."""
        return ShotResult(**{**value, "scores": {name: Score(**score) for name, score in value["scores"].items()}})
